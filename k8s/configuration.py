"""How a file and the environment become settings, strictly.

A file is YAML (or JSON, which is YAML) with apiVersion and kind. Unknown keys, keys that are given
twice, and values that make no sense are refused in one sentence. Each setting is an environment
variable too: guard.maxHold is OPTSCHED_CONFIG_GUARD_MAX_HOLD; variables win over the file.

`python -m optsched.k8s.configuration` writes the JSON schema that is published.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from inspect import cleandoc
from pathlib import Path
from typing import Any

import msgspec

from optsched.errors import FormatError, InputError, MissingExtraError
from optsched.k8s.duration import DURATION_PATTERN, Duration
from optsched.k8s.settings import (
    API_VERSION,
    BENCH,
    FIXED,
    KIND,
    Part,
    Profile,
    Settings,
)

PREFIX = "OPTSCHED_CONFIG_"
LARGEST = 1 << 20  # bytes of a file

Tree = dict[str, Any]


def load(path: str | Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of a file (None: the defaults) and the environment.

    Raises
    ------
    InputError
        The file or a variable is not understood; the sentence says which, and what would be.
    """
    tree: Tree = {}
    if path is not None:
        tree = _parse(_read(Path(path)), str(path))
        _check_head(tree, str(path))
    _check_keys(tree, Settings, "", str(path))
    for names, variable, text in _variables(environ):
        where = tree
        for name in names[:-1]:
            where = where.setdefault(name, {})
            if not isinstance(where, dict):
                break  # the conversion will say what is wrong with the file
        else:
            where[names[-1]] = _scalar(text, variable)
    return _convert(tree, str(path) if path is not None else "the environment")


def to_yaml(settings: Settings) -> str:
    """The settings as a file that gives the same settings."""
    text: str = _yaml().safe_dump(to_tree(settings), sort_keys=False, width=100)
    return text


def to_tree(settings: msgspec.Struct) -> Tree:
    """The settings as plain values."""
    tree: Tree = msgspec.to_builtins(settings, enc_hook=str)
    return tree


class Watched:
    """Settings that follow their file; what does not load leaves the last good ones in force.

    Attributes
    ----------
    current
        The settings in force.
    error
        Why the file as it is now is not in force; "" if it is.
    pending
        Settings that differ in the file and take a restart.
    """

    def __init__(self, path: str | Path | None, environ: Mapping[str, str] = os.environ) -> None:
        self.path = Path(path) if path is not None else None
        self._environ = environ
        self._stamp = self._look()
        self._started = self.current = load(path, environ)
        self.error = ""
        self.pending: tuple[str, ...] = ()

    def refresh(self) -> bool:
        """Look at the file; True if other settings are in force now."""
        stamp = self._look()
        if stamp == self._stamp or self.path is None:
            return False
        self._stamp = stamp
        try:
            settings = load(self.path, self._environ)
        except InputError as error:
            self.error = str(error)
            return False
        self.error = ""
        self.pending = tuple(
            name for name in FIXED if _at(settings, name) != _at(self._started, name)
        )
        changed, self.current = settings != self.current, settings
        return changed

    def _look(self) -> tuple[int, int, int]:
        try:
            status = os.stat(self.path) if self.path is not None else None
        except OSError:
            status = None
        return (status.st_mtime_ns, status.st_ino, status.st_size) if status else (0, 0, 0)


def schema() -> bytes:
    """The JSON schema of the file, with defaults."""

    def hook(kind: type) -> dict[str, Any]:
        if kind is Duration:
            return {"type": "string", "pattern": DURATION_PATTERN}
        raise NotImplementedError

    made = msgspec.json.schema(Settings, schema_hook=hook)
    parts: list[type[msgspec.Struct]] = [Settings, *Part.__subclasses__()]
    kinds = {kind.__name__: kind for kind in parts}
    for name, part in made["$defs"].items():
        if "properties" in part:
            for key, value in to_tree(kinds[name]()).items():
                if not isinstance(value, dict):
                    part["properties"][key]["default"] = value
                else:
                    part["properties"][key].pop("default", None)
        if "description" in part:
            part["description"] = cleandoc(part["description"])
    made["$defs"]["Settings"]["required"] = ["apiVersion", "kind"]
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{API_VERSION} {KIND}",
    }
    return msgspec.json.format(msgspec.json.encode({**head, **made}), indent=1) + b"\n"


def variables() -> dict[str, tuple[str, ...]]:
    """Every environment variable and the keys that lead to its setting."""
    return {PREFIX + "_".join(map(_shout, names)): names for names, _ in _leaves(Settings, ())}


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        raise MissingExtraError(
            "reading a configuration needs PyYAML: pip install 'optsched[k8s]'"
        ) from error
    return yaml


def _read(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"the configuration {path} cannot be read: {error.strerror}") from error
    if len(data) > LARGEST:
        raise InputError(f"the configuration {path} is longer than {LARGEST} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise FormatError(f"the configuration {path} is not UTF-8") from error


def _parse(text: str, source: str) -> Tree:
    tree = plain_yaml(text, source)
    if not isinstance(tree, dict):
        raise FormatError(f"{source} is no configuration; it begins with apiVersion: {API_VERSION}")
    return tree


def _scalar(text: str, variable: str) -> Any:
    """A value of the environment; lists may be written a, b."""
    kind = _kind_at(variables()[variable])
    if isinstance(kind, msgspec.inspect.VarTupleType) and not text.startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(kind, msgspec.inspect.StrType | msgspec.inspect.CustomType):
        return text
    return plain_yaml(text, variable)


def plain_yaml(text: str, source: str) -> Any:
    """YAML as plain values: only true and false are Booleans, nothing is given twice."""
    yaml = _yaml()
    safe: Any = yaml.SafeLoader

    class Loader(safe):  # type: ignore[misc]
        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise FormatError(f"{source} uses a YAML alias; write the value out")
            return super().compose_node(parent, index)

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.value in seen:
                    line = key.start_mark.line + 1
                    raise FormatError(f"{source}: {key.value!r} is given twice (line {line})")
                seen.add(str(key.value))
            return super().construct_mapping(node, deep=deep)

    Loader.yaml_implicit_resolvers = {}
    for tag, form, first in (
        ("bool", r"true|false", "tf"),
        ("int", r"[-+]?[0-9]+", "-+0123456789"),
        ("float", r"[-+]?[0-9]+\.[0-9]+(?:[eE][-+]?[0-9]+)?", "-+0123456789"),
        ("null", r"null|~|", ["n", "~", ""]),
    ):
        Loader.add_implicit_resolver(
            f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{form})$"), list(first)
        )
    try:
        return yaml.load(text, Loader=Loader)
    except (yaml.YAMLError, RecursionError) as error:
        told = " ".join(str(getattr(error, "problem", None) or "it is malformed").split())
        mark = getattr(error, "problem_mark", None)
        at = f" (line {mark.line + 1})" if mark else ""
        raise FormatError(f"{source} is not YAML: {told}{at}") from error
    except (TypeError, ValueError) as error:  # unhashable keys, tags with impossible values
        raise FormatError(f"{source} is no configuration: {error}") from error


def _check_head(tree: Tree, source: str) -> None:
    for key, wanted in (("apiVersion", API_VERSION), ("kind", KIND)):
        if tree.get(key) != wanted:
            found = f"is {str(tree[key])[:60]!r}" if key in tree else "is missing"
            raise FormatError(f"{source}: {key} {found}; this release reads {key}: {wanted}")


def _check_keys(tree: object, kind: type[msgspec.Struct], path: str, source: str) -> None:
    """Refuse keys that are not known, with the nearest that is."""
    if not isinstance(tree, dict):
        return
    fields = {one.encode_name: one.type for one in msgspec.structs.fields(kind)}
    for key, value in tree.items():
        if key not in fields:
            _refuse(f"{source}: {path}{key}", str(key), fields)
        below = fields[key]
        if isinstance(below, type) and issubclass(below, msgspec.Struct):
            _check_keys(value, below, f"{path}{key}.", source)


def _refuse(what: str, name: str, known: Mapping[str, Any]) -> None:
    lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), lower, 1, 0.6)
    hint = f"; did you mean {lower[near[0]]}?" if near else f"; known are {', '.join(known)}"
    raise FormatError(f"{what[:200]} is not known{hint}")


def _variables(environ: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    known = variables()
    for variable in sorted(environ):
        if variable.startswith(PREFIX):
            if variable not in known:
                lower = {one: one for one in known}
                _refuse(f"the environment variable {variable}", variable, lower)
            yield known[variable], variable, environ[variable]


def _convert(tree: Tree, source: str) -> Settings:
    if tree.get("profile") == Profile.BENCH:
        tree = _under(tree, BENCH)
    try:
        return msgspec.convert(tree, Settings, dec_hook=_dec_hook)
    except msgspec.ValidationError as error:
        told, _, path = str(error).partition(" - at `$")
        names = re.findall(r"\w+", path)
        place = ".".join(names) or "the configuration"
        raise FormatError(f"{source}: {place}: {_choices(told, names)}") from error


def _choices(told: str, names: list[str]) -> str:
    kind = _kind_at(names) if told.startswith("Invalid enum value") else None
    if isinstance(kind, msgspec.inspect.EnumType):
        return f"{told}; give one of {', '.join(one.value for one in kind.cls)}"
    if isinstance(kind, msgspec.inspect.LiteralType):
        return f"{told}; give one of {', '.join(map(str, kind.values))}"
    return told[:1].lower() + told[1:] if told.startswith("Expected") else told


def _dec_hook(kind: type, value: object) -> Any:
    if kind is Duration:
        return Duration.parse(value)
    raise NotImplementedError


def _under(tree: Tree, defaults: Mapping[str, Any]) -> Tree:
    """The tree, with `defaults` where it says nothing."""
    merged = dict(tree)
    for key, value in defaults.items():
        if isinstance(value, dict) and isinstance(merged.get(key, {}), dict):
            merged[key] = _under(merged.get(key, {}), value)
        else:
            merged.setdefault(key, value)
    return merged


def _leaves(
    kind: type[msgspec.Struct], names: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for one in msgspec.structs.fields(kind):
        here = (*names, one.encode_name)
        if isinstance(one.type, type) and issubclass(one.type, msgspec.Struct):
            yield from _leaves(one.type, here)
        elif here not in (("apiVersion",), ("kind",)):
            yield here, one.type


def _kind_at(names: tuple[str, ...] | list[str]) -> msgspec.inspect.Type | None:
    kind: msgspec.inspect.Type = msgspec.inspect.type_info(Settings)
    for name in names:
        if isinstance(kind, msgspec.inspect.StructType):
            kind = next(one.type for one in kind.fields if one.encode_name == name)
        if isinstance(kind, msgspec.inspect.Metadata):
            kind = kind.type
    return kind


def _shout(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _at(settings: Any, path: str) -> Any:
    for name in path.split("."):
        settings = getattr(settings, _shout(name).lower())
    return settings


if __name__ == "__main__":
    target = Path(__file__).resolve().parent.parent / "optsched" / "schema" / "configuration.json"
    target.write_bytes(schema())
