"""Task files that are wrong: one sentence that names the object; what fits nowhere is rejected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from optsched.cli import group

Change = Callable[[dict[str, Any]], None]


def document() -> dict[str, Any]:
    """Two sites, two nodes, two tasks; everything is well."""
    return {
        "format": "optsched/tasks",
        "version": 1,
        "horizon": 1000,
        "sites": ["gateway", "cloud", "island"],
        "links": [{"ends": ["gateway", "cloud"], "latency": 5, "bandwidth": 100}],
        "nodes": [
            {"name": "edge-1", "tier": "edge", "site": "gateway", "speed": 100},
            {"name": "big", "tier": "cloud", "site": "cloud", "speed": 1000, "cores": 4},
        ],
        "tasks": [
            {"name": "photo", "source": "gateway", "arrival": 10, "work": 4, "deadline": 400},
            {"name": "sound", "source": "gateway", "work": 2, "after": [{"task": "photo"}]},
        ],
    }


def run(tmp_path: Path, content: object, *words: str) -> tuple[int, str]:
    """Exit code and output of solve."""
    path = tmp_path / "tasks.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    asked = ("solve", str(path), "--time-limit", "1s", "--workers", "1", "--quiet", *words)
    told = CliRunner().invoke(group, asked)
    return told.exit_code, told.output


def put(*path: str | int, value: object) -> Change:
    """Change one field."""

    def change(content: dict[str, Any]) -> None:
        at: Any = content
        for key in path[:-1]:
            at = at[key]
        at[path[-1]] = value

    return change


def test_numbers_beyond_64_bits_are_refused(tmp_path: Path) -> None:
    """Each number may be fine; the energy of the run would have come out below 0."""
    content = document()
    content["nodes"][0]["busy"] = 1_000_000
    content["tasks"][0]["work"] = 10**13
    code, output = run(tmp_path, content)
    assert code == 2
    assert "'photo': its work of 10,000,000,000,000 is too large for the slowest node" in output


def long_run(content: dict[str, Any]) -> None:
    """On a node that takes no power."""
    content["nodes"][0]["speed"] = 1
    content["tasks"][0]["work"] = 1 << 53


def slow_way(content: dict[str, Any]) -> None:
    """A thousand links of a byte each ms, and petabytes to send."""
    content["links"] = [{"ends": ["gateway", "cloud"], "bandwidth": 1}] * 999
    content["tasks"][0]["input"] = 1 << 53


def busy(*spans: tuple[int, int], **more: int) -> Change:
    """What keeps the edge node busy besides, from one moment to another."""
    rows = [{"node": "edge-1", "held": a, "begin": a, "end": b, **more} for a, b in spans]
    return put("taken", value=rows)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (busy((0, 5), (5, 9), (9, 9)), ""),
        (busy((0, 10), (5, 15)), "taken: 'edge-1' has too few cores from 5 ms on, before any task"),
        (busy((3, 10), memory=1 << 30), "taken: 'edge-1' has too few memory from 3 ms on"),
        (busy((3, 10), cores=2), "taken: 'edge-1' has too few cores from 3 ms on"),
        (long_run, "'photo': its work of 9,007,199,254,740,992 is too large for the slowest node"),
        (put("tasks", 1, "after", value=[{"task": "photo", "data": 1 << 53}]), ""),
        (put("links", value=[{"ends": ["gateway", "cloud"], "bandwidth": 1}] * 999), ""),
        (slow_way, "'photo': sending its data takes too large a number of milliseconds"),
        (put("links", 0, "bandwidth", value=0), "link gateway-cloud': its bandwidth is not above"),
        (
            put("links", 0, "ends", value=["cloud", "cloud"]),
            "link cloud-cloud': it joins a site to itself; leave it out",
        ),
        (put("links", 0, "shared", value=1), "shared"),
        (put("links", 0, "shared", value=True), ""),
        (put("tasks", 0, "after", value=[{"task": "sound"}]), "it waits for itself"),
        (put("tasks", 0, "after", value=[{"task": "x"}]), "'photo' names the task 'x'"),
        (put("tasks", 0, "deadline", value=5), "'photo': its deadline is before its arrival"),
        (put("tasks", 0, "work", value=-1), "'photo': its work is negative"),
        (put("nodes", 0, "idle", value=1 << 53), "busy than idle"),
        (put("objective", value=f"response:{1 << 52}"), "the weight 4,503,599,627,370,496 of resp"),
        (put("nodes", value=[]), "there are no nodes"),
        (put("tasks", 0, "work", value=1.5), "'photo'"),
        (put("tasks", 0, "hard", value=True), ""),
        (put("tasks", 1, "hard", value=True), "'sound': it is hard without a deadline"),
        (put("tasks", 0, "source", value="moon"), "'photo' names the site 'moon'"),
        (put("tasks", 0, "nodes", value=["x"]), "'photo' names the node 'x'"),
        (put("nodes", 0, "speed", value=0), "'edge-1': its speed is not above 0"),
        (put("nodes", 1, "name", value="edge-1"), "'edge-1': the name is used twice"),
        (put("nodes", 0, "busy", value=-1), "'edge-1'"),
        (put("nodes", 0, "idle", value=9), "'edge-1': it takes less power busy than idle"),
        (put("horizon", value=10), "the horizon of 10 ms ends before the last arrival"),
        (put("objective", value="speed"), "there is no goal 'speed'"),
        (put("objective", value="energy:x"), "the weight 'x' of energy is no whole number"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, change: Change, words: str) -> None:
    """Exit code 2; a field that is right after all gives an answer."""
    content = document()
    change(content)
    code, text = run(tmp_path, content)
    assert code == (2 if words else 0), text
    assert words in text
    assert not words or text.count("\n") <= 4


def test_links_with_turns_are_solved_and_simulated(tmp_path: Path) -> None:
    """A plan that the checker passes; simulated, the same begins."""
    content = document()
    content["links"][0]["shared"] = True
    content["tasks"] = [
        {"name": name, "source": "gateway", "work": 9, "input": 900, "nodes": ["big"]}
        for name in ("photo", "song")
    ]
    plan = tmp_path / "plan.json"
    code, text = run(tmp_path, content, "--plan-out", str(plan), "--output", "json")
    assert code == 0, text
    told = json.loads(text)["tasks"]
    assert sorted(one["start"] for one in told) == [14, 23]  # 9 ms each on the link, 5 through it
    problem = str(tmp_path / "tasks.json")
    checked = CliRunner().invoke(group, ("check", problem, str(plan)))
    assert checked.exit_code == 0, checked.output
    call = ("simulate", problem, "--solver", "greedy:eft", "--window", "1ms", "--output", "json")
    played = CliRunner().invoke(group, call)
    assert played.exit_code == 0, played.output
    assert sorted(one["start"] for one in json.loads(played.stdout)["tasks"]) == [14, 23]


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity"])
def test_what_is_no_number_is_refused(tmp_path: Path, number: str) -> None:
    """JSON has no such numbers."""
    text = json.dumps(document()).replace('"work": 4', f'"work": {number}')
    code, told = run(tmp_path, text)
    assert code == 2
    assert "tasks.json" in told


@pytest.mark.parametrize(
    "change",
    [
        put("tasks", 0, "source", value="island"),  # no node can be reached
        put("tasks", 0, "memory", value=1 << 30),  # fits no node
        put("tasks", 0, "cores", value=5),
        put("tasks", 0, "nodes", value=[]),
    ],
)
def test_what_fits_nowhere_is_told_rejected(tmp_path: Path, change: Change) -> None:
    """Never dropped: it and what needs its result stand in the answer."""
    content = document()
    change(content)
    code, text = run(tmp_path, content, "--output", "json")
    assert code == 0, text
    told = {one["name"]: one for one in json.loads(text)["tasks"]}
    assert {*told} == {"photo", "sound"}
    assert told["photo"]["rejected"]
    assert told["sound"]["rejected"]
    code, text = run(tmp_path, content)
    assert "2 rejected" in text
