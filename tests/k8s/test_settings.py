"""A configuration is what it says or it is refused; what runs is never broken by a bad file."""

from __future__ import annotations

import json
import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from optsched.errors import InputError
from optsched.k8s import configuration
from optsched.k8s.configuration import Watched, load, schema, to_tree, to_yaml, variables
from optsched.k8s.duration import Duration
from optsched.k8s.settings import FIXED, Mode, Settings

HEAD = "apiVersion: optsched.io/v1alpha1\nkind: OptschedConfiguration\n"


def write(tmp_path: Path, text: str, head: str = HEAD) -> Path:
    """A configuration file."""
    path = tmp_path / "optsched.yaml"
    path.write_text(head + text)
    return path


def refusal(tmp_path: Path, text: str, head: str = HEAD) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(InputError) as told:
        load(write(tmp_path, text, head), {})
    said = str(told.value)
    assert "\n" not in said
    assert len(said) < 1000
    return said


def test_the_defaults_change_nothing() -> None:
    """Whoever installs it gets advice only."""
    assert load(None, {}) == Settings()
    assert load(None, {}).mode is Mode.ADVISORY


def test_a_file_is_read(tmp_path: Path) -> None:
    """Off is a word here, not a Boolean, and durations have units."""
    path = write(tmp_path, "mode: Off\nguard: {maxHold: 1m30s, preempt: Off}\n")
    settings = load(path, {})
    assert settings.mode is Mode.OFF
    assert settings.guard.max_hold == 90_000
    assert settings.guard.max_hold.seconds == 90.0
    assert settings.guard.preempt == "Off"


def test_what_is_printed_reads_back(tmp_path: Path) -> None:
    """--print-config gives a file that means the same."""
    settings = load(write(tmp_path, "mode: Off\nprofile: Bench\nmoves: {ttl: 90s}\n"), {})
    assert load(write(tmp_path, to_yaml(settings), head=""), {}) == settings


def test_the_bench_profile_takes_away_what_slows(tmp_path: Path) -> None:
    """Ages, graces, cooldowns and rates go; what the file says itself stays."""
    moves = load(write(tmp_path, "profile: Bench\nmoves: {minAge: 7s}\n"), {}).moves
    assert (moves.min_age, moves.owner_cooldown, moves.min_replicas) == (7000, 0, 1)
    assert moves.evictions_per_minute > 10_000
    assert moves.max_cache_age == Settings().moves.max_cache_age


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gaurd: {}\n", "gaurd is not known; did you mean guard?"),
        ("guard: {maxhold: 3s}\n", "guard.maxhold is not known; did you mean maxHold?"),
        ("extender: {tls: {certfile: x}}\n", "extender.tls.certfile is not known; did you mean"),
        ("guard: {zzz: 1}\n", "known are maxHold, maxLife, preempt"),
        ("mode: enforce\n", "mode: Invalid enum value 'enforce'; give one of Off, Advisory"),
        ("moves: {approval: Maybe}\n", "give one of Auto, Manual"),
        ("guard: {maxHold: 30}\n", "'30' is no duration such as 200ms, 30s or 5m"),
        ("guard: {maxHold: s}\n", "is no duration"),
        ("guard: {maxHold: ''}\n", "is no duration"),
        ("extender: {port: 70000}\n", "extender.port: expected `int` <= 65535"),
        ("extender: {port: 1.5}\n", "extender.port: expected `int`"),
        ("extender: {port: yes}\n", "extender.port: expected `int`, got `str`"),
        ("moves: {maxPerPlan: 0}\n", "moves.maxPerPlan: expected `int` >= 1"),
        ("moves: {maxPerNode: 9}\n", "maxPerNode and maxPerOwner cannot exceed maxPerPlan (8)"),
        ("moves: {ttl: 1s}\n", "ttl 1s is too short"),
        ("moves: {maxCacheAge: 0s}\n", "maxCacheAge 0s is too short; give 100ms or more"),
        ("moves: {maxCacheAge: 3s}\n", "maxCacheAge 3s is too long; give 2s or less"),
        ("planner: {timeLimit: 0s}\n", "timeLimit 0s is too short"),
        ("client: {requestTimeout: 0s}\n", "requestTimeout 0s is too short"),
        ("leader: {retryPeriod: 0s}\n", "retryPeriod 0s is too short"),
        ("extender: {bodyTimeout: 0s}\n", "bodyTimeout 0s is too short"),
        ("extender: {keepAlive: 0s}\n", "keepAlive 0s is too short"),
        ("guard: {maxLife: 1m}\n", "guard.maxLife 1m is shorter than moves.ttl 5m"),
        ("leader: {renewDeadline: 20s}\n", "must rise in this order"),
        ("extender: {address: 0.0.0.0}\n", "reachable from outside and needs tls"),
        ("extender: {tls: {certFile: x}}\n", "go together"),
        ("namespaces: {helped: [kube-system]}\n", "in never, and in helped"),
        ("namespaces: {helped: [Not_A_Name]}\n", "namespaces.helped.0"),
        ("health: {port: 8080}\n", "ports of their own"),
        ("schedulerNames: []\n", "schedulerNames is empty"),
        ("planner: null\n", "planner: expected `object`"),
        ("guard: [1]\n", "guard: expected `object`, got `array`"),
        ("mode: Off\nmode: Enforce\n", "'mode' is given twice (line 4)"),
        ("guard: {maxHold: 1s, maxHold: 2s}\n", "'maxHold' is given twice"),
        ("guard: &a {maxHold: 1s}\nmoves: *a\n", "alias"),
        ("mode: {\n", "is not YAML"),
        ("mode: !!python/object:os.system x\n", "is not YAML"),
        ("? {a: 1}\n: 2\n", "is no configuration"),
        ("mode: \x00\n", "is not YAML"),
        ("a" * (1 << 20), "longer than"),
    ],
)
def test_what_is_wrong_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """Every mistake in one sentence that names the place and the way out."""
    assert said in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("", "is no configuration"),
        ("[]\n", "is no configuration"),
        ("kind: OptschedConfiguration\n", "apiVersion is missing"),
        ("apiVersion: optsched.io/v1\nkind: OptschedConfiguration\n", "optsched.io/v1alpha1"),
        ("apiVersion: optsched.io/v1alpha1\nkind: Pod\n", "kind is 'Pod'"),
    ],
)
def test_other_kinds_and_versions_are_refused(tmp_path: Path, head: str, said: str) -> None:
    """A file that is no configuration of this version is not guessed at."""
    assert said in refusal(tmp_path, "", head)


def test_unreadable_files_are_said(tmp_path: Path) -> None:
    """Absent, a folder, or not text."""
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load(tmp_path / "none.yaml", {})
    with pytest.raises(InputError, match="cannot be read"):
        load(tmp_path, {})
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        load(tmp_path / "binary", {})


def test_the_environment_wins(tmp_path: Path) -> None:
    """Every setting is a variable too, lists with commas."""
    environ = {
        "OPTSCHED_CONFIG_MODE": "Enforce",
        "OPTSCHED_CONFIG_GUARD_MAX_HOLD": "10s",
        "OPTSCHED_CONFIG_EXTENDER_PORT": "9000",
        "OPTSCHED_CONFIG_NAMESPACES_HELPED": "shop, bank",
        "OPTSCHED_CONFIG_PLANNER_PROTECT_HIGHER": "false",
        "OPTSCHED_CONFIG_EXTENDER_PREFIX": "",
        "OPTSCHED_SERVE_CONFIG": "ignored here",
    }
    settings = load(write(tmp_path, "mode: Off\nguard: {maxHold: 1s, maxLife: 30m}\n"), environ)
    assert settings.mode is Mode.ENFORCE
    assert (settings.guard.max_hold, settings.guard.max_life) == (10_000, 1_800_000)
    assert settings.extender.port == 9000
    assert settings.namespaces.helped == ("shop", "bank")
    assert settings.planner.protect_higher is False


def test_unknown_variables_are_refused() -> None:
    """A misspelt variable does not go unnoticed."""
    with pytest.raises(InputError, match="did you mean OPTSCHED_CONFIG_GUARD_MAX_HOLD"):
        load(None, {"OPTSCHED_CONFIG_GUARD_MAXHOLD": "1s"})
    with pytest.raises(InputError, match=r"extender\.port: expected"):
        load(None, {"OPTSCHED_CONFIG_EXTENDER_PORT": "many"})


def test_no_two_settings_share_a_variable() -> None:
    """As many variables as settings."""

    def leaves(tree: Any) -> int:
        return sum(map(leaves, tree.values())) if isinstance(tree, dict) else 1

    assert len(variables()) == leaves(to_tree(Settings())) - 2


def test_a_bad_file_leaves_the_last_good_settings(tmp_path: Path) -> None:
    """What cannot be read is told and not taken over; the next good file is."""
    path = write(tmp_path, "mode: Advisory\n")
    watched = Watched(path, {})
    assert not watched.refresh()
    for bad in ("mode: Enforse\n", "mode: {\n", "unknown: 1\n"):
        write(tmp_path, bad)
        assert not watched.refresh()
        assert watched.current.mode is Mode.ADVISORY
        assert watched.error
    path.unlink()
    assert not watched.refresh()
    assert "No such file" in watched.error
    write(tmp_path, "mode: Enforce\n")
    assert watched.refresh()
    assert watched.current.mode is Mode.ENFORCE
    assert watched.error == ""


def test_a_mounted_file_is_seen_to_change(tmp_path: Path) -> None:
    """A ConfigMap changes by a link that points elsewhere."""
    for name, mode in (("a", "Off"), ("b", "Enforce")):
        (tmp_path / name).mkdir()
        write(tmp_path / name, f"mode: {mode}\n")
    (tmp_path / "now").symlink_to("a")
    watched = Watched(tmp_path / "now" / "optsched.yaml", {})
    (tmp_path / "next").symlink_to("b")
    os.replace(tmp_path / "next", tmp_path / "now")
    assert watched.refresh()
    assert watched.current.mode is Mode.ENFORCE


def test_what_takes_a_restart_is_told(tmp_path: Path) -> None:
    """A port does not change while it is open, until the file says again what is running."""
    path = write(tmp_path, "extender: {port: 1111}\n")
    watched = Watched(path, {})
    write(tmp_path, "extender: {port: 2222}\nmode: Off\n")
    assert watched.refresh()
    assert watched.pending == ("extender.port",)
    assert watched.current.mode is Mode.OFF
    write(tmp_path, "extender: {port: 1111}\nmode: DryRun\n")
    watched.refresh()
    assert watched.pending == ()


def test_fixed_names_exist() -> None:
    """What is said to take a restart is there."""
    assert FIXED
    for name in FIXED:
        assert configuration._at(Settings(), name) is not None, name


@pytest.mark.parametrize("text", ["0s", "200ms", "30s", "5m", "1h30m", "1h1m1s1ms"])
def test_durations_read_back(text: str) -> None:
    """They are written as they were read."""
    assert str(Duration.parse(text)) == text


def test_the_published_schema_is_current() -> None:
    """`python -m optsched.k8s.configuration` was run after the last change."""
    published = files("optsched").joinpath("schema", "configuration.json").read_bytes()
    assert published == schema()


def test_the_schema_describes_every_setting() -> None:
    """Each section of the printed defaults is described, nothing else is allowed."""
    made = json.loads(schema())
    parts = made["$defs"]
    assert parts["Settings"]["required"] == ["apiVersion", "kind"]
    assert parts["Settings"]["additionalProperties"] is False
    assert set(parts["Settings"]["properties"]) == set(to_tree(Settings()))
    for name, part in parts.items():
        if "properties" in part:
            assert part["additionalProperties"] is False, name
            assert part["description"], name
    hold = parts["Guard"]["properties"]["maxHold"]
    assert hold["default"] == "30s"
    assert re.match(hold["pattern"], "1m30s")
    assert not re.match(hold["pattern"], "30")


def test_settings_cannot_change() -> None:
    """They are shared between parts of the service."""
    with pytest.raises(AttributeError):
        Settings().guard.max_hold = Duration(1)  # type: ignore[misc]
