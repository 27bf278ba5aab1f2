"""Where RayCloudSim's two files are: the nodes and links, and the tasks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from optsched.errors import FormatError, InputError
from optsched.snapshot import read_bytes

from .csv_tables import titles

COLUMNS = ("TaskName", "GenerationTime", "TaskSize", "CyclesPerBit", "TransBitRate", "DDL")
CONFIGURATION = "config.json"
LISTS = ("testset.csv", "trainset.csv")
MOST = 2000  # names that are looked at in a folder, which may be any
NAMED = 4  # data sets that a sentence lists


def files(path: str, select: str | None) -> tuple[str, str]:
    """The configuration and the list of tasks that a path means.

    `select` is the kind of the list, "testset" or "trainset".

    Raises
    ------
    FormatError
        One of them is not there, or the path means several.
    """
    parts = path.split(",")
    if len(parts) == 2 and not Path(path).exists():
        parts.sort(key=lambda one: ".csv" in Path(one).name)
        return parts[0], parts[1]
    one = _of_folder(Path(path)) if Path(path).is_dir() else Path(path)
    stem = one.name.removesuffix(".gz")
    if stem.endswith(CONFIGURATION):
        other = stem.removesuffix(CONFIGURATION) + f"{select or 'testset'}.csv"
        pair = one, one.with_name(other)
    else:
        kind = next((k for k in LISTS if stem.endswith(k)), None)
        if kind is None:
            raise FormatError(f'{path}: give "config.json,tasks.csv", the nodes and the tasks')
        stem = stem.removesuffix(kind)
        tasks = one if select is None else one.with_name(f"{stem}{select}.csv")
        pair = one.with_name(stem + CONFIGURATION), tasks
    for needed, beside in (pair, pair[::-1]):
        if not needed.is_file():
            raise FormatError(
                f"{path}: {needed.name} is not beside it; {_elsewhere(needed, beside)}"
            )
    return str(pair[0]), str(pair[1])


def found_in(folder: Path, ending: str, depth: int) -> Iterator[Path]:
    """Files of a folder whose names end so, and of the folders in it down to `depth` levels."""
    for level in range(depth):
        names = islice(folder.glob("*/" * level + "*"), MOST)
        yield from sorted(
            one for one in names if one.name.removesuffix(".gz").endswith(ending) and one.is_file()
        )


def sets_in(folder: Path, depth: int) -> tuple[list[Path], list[Path]]:
    """Configurations and lists of tasks in a folder, by their names and what they hold."""
    configurations = [one for one in found_in(folder, CONFIGURATION, depth) if _has_nodes(one)]
    lists = [
        one for end in LISTS for one in found_in(folder, end, depth) if {*COLUMNS} <= {*titles(one)}
    ]
    return configurations, lists


def _has_nodes(path: Path) -> bool:
    try:
        return b'"MaxCpuFreq"' in read_bytes(path)
    except InputError:
        return False


def _of_folder(folder: Path) -> Path:
    """The one configuration in a folder, or where there is none, the one list."""
    for depth in (1, 2):
        for found in sets_in(folder, depth):
            if len(found) == 1:
                return found[0]
            if found:
                told = ", ".join(str(one.relative_to(folder)) for one in found[:NAMED])
                more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
                raise FormatError(
                    f"{folder}: {len(found)} data sets are in it ({told}{more}); give one, such as "
                    f"{found[0]}"
                )
    raise FormatError(
        f"{folder}: there is no {CONFIGURATION}, the nodes and links, nor {LISTS[0]}, the tasks; "
        'give "config.json,tasks.csv"'
    )


def _elsewhere(needed: Path, other: Path) -> str:
    """What to give in place of a file that is missing: one of the kind in a folder nearby."""
    of_nodes = needed.name.endswith(CONFIGURATION)
    for folder in (other.parent, other.parent.parent):
        configurations, lists = sets_in(folder, 2)
        for one in configurations if of_nodes else lists:
            pair = f"{one},{other}" if of_nodes else f"{other},{one}"
            return f'if {one} belongs to it, give "{pair}"'
    return 'give "config.json,tasks.csv"'
