"""Rows of `run` as the paper's tables, in markdown."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.data import data_path
from benchmarks.markdown import markdown
from benchmarks.pod_packing.arms import CATEGORIES, PAPER

Row = dict[str, Any]
Table = list[list[object]]
PUBLISHED = "priority-matters/cp_sat_outcomes.txt"
LETTERS = {
    "F": "Failure",
    "N": "No Calls",
    "K": "KWOK Optimal",
    "B": "Better",
    "O": "Better&Optimal",
}


def read(path: Path) -> list[Row]:
    """The rows of a JSON-lines file; a line cut short by an abort is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def page(rows: Sequence[Row], settings: dict[str, object]) -> str:
    """All tables with a header that says where they come from."""
    rows = sorted(rows, key=lambda row: (row["window"], row["arm"] == PAPER, row["arm"]))
    cells = {_cell(row) for row in rows}
    parts = [
        "# Pod packing: the paper's grid\n",
        machine.header(**settings) + f"\n- instances: {len({row['instance'] for row in rows})} "
        f"in {len(cells)} cells\n- load per core while solving: "
        f"{_mean([row['load'] for row in rows]):.2f} on average "
        "(with the solve itself; above 1 the machine was shared)\n",
        "## Outcomes, % of instances\n",
        _outcomes(rows, "all", lambda row: "all"),
        "## Outcomes by nodes, % of instances\n",
        _outcomes(rows, "nodes", lambda row: row["nodes"]),
        "## Outcomes by usage, % of instances\n",
        _outcomes(rows, "usage", lambda row: row["usage"]),
        "## Placed pods and disturbance\n",
        _placed(rows),
        "## What is left to prove\n",
        _open_levels(rows),
        "## Ours against the paper's model\n",
        _against_paper(rows),
    ]
    return "\n".join(parts)


def published() -> dict[tuple[float, int, int, int, int], dict[str, float]]:
    """The paper's outcomes by (window, usage, priorities, ppn, nodes), in % of 100 instances."""
    columns = [(p, ppn, nodes) for p in (1, 2, 4) for ppn in (4, 8) for nodes in (4, 8, 16, 32)]
    out: dict[tuple[float, int, int, int, int], dict[str, float]] = defaultdict(dict)
    for line in data_path(PUBLISHED).read_text().splitlines():
        if line.startswith("#"):
            continue
        window, usage, letter, *shares = line.split()
        for (priorities, ppn, nodes), share in zip(columns, shares, strict=True):
            if (ppn, nodes, usage) != (8, 32, "90"):  # no data there
                key = (int(window), int(usage), priorities, ppn, nodes)
                out[key][LETTERS[letter]] = float(share)
    return out


def _outcomes(rows: Sequence[Row], name: str, group: Callable[[Row], Any]) -> str:
    """Shares of the categories, and the share proven of instances with a pending pod."""
    table: Table = [
        [name, "window s", "arm", "n", *CATEGORIES, "proven of called", "mean s", "max s"]
    ]
    groups: dict[tuple[Any, float, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[group(row), row["window"], row["arm"]].append(row)
    for (value, window, arm), members in sorted(groups.items(), key=lambda g: (g[0][:2], g[0][2])):
        count = {c: sum(row["category"] == c for row in members) for c in CATEGORIES}
        shares = {c: 100 * n / len(members) for c, n in count.items()}
        seconds = [row["seconds"] for row in members if row["category"] != "No Calls"]
        times = [f"{_mean(seconds):.2f}", f"{max(seconds, default=0):.2f}"]
        table.append([value, f"{window:g}", _label(arm), len(members), *_shares(shares), *times])
        if arm == PAPER and (known := _published_shares(members, window)):
            table.append([value, f"{window:g}", "paper, published", "", *_shares(known), "", ""])
    return markdown(table)


def _published_shares(members: Sequence[Row], window: float) -> dict[str, float]:
    """Mean of the published shares over the cells of `members`, cells counted by instances."""
    try:
        known = published()
    except SystemExit:
        return {}
    keys = [(window, row["usage"], row["priorities"], row["ppn"], row["nodes"]) for row in members]
    found = [known[key] for key in keys if key in known]
    return {c: _mean([shares[c] for shares in found]) for c in CATEGORIES} if found else {}


def _shares(shares: dict[str, float]) -> list[str]:
    called = 100 - shares["No Calls"]
    proven = shares["KWOK Optimal"] + shares["Better&Optimal"]
    share = f"{100 * proven / called:.1f}" if called > 0 else "-"
    return [f"{shares[c]:.1f}" for c in CATEGORIES] + [share]


def _placed(rows: Sequence[Row]) -> str:
    table: Table = [["nodes", "window s", "arm", "pods", "default", "placed", "evicted", "moved"]]
    groups: dict[tuple[int, float, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["nodes"], row["window"], row["arm"]].append(row)
    for (nodes, window, arm), members in sorted(groups.items()):
        totals = [
            sum(row["pods"] for row in members),
            *(
                sum(sum(row[k]) for row in members)
                for k in ("default", "placed", "evicted", "moved")
            ),
        ]
        table.append([nodes, f"{window:g}", _label(arm), *totals])
    return markdown(table)


def _open_levels(rows: Sequence[Row]) -> str:
    """Per kind of level: how many are not proven, and how far value and bound are apart there."""
    head = ["nodes", "window s", "arm", "level", "levels", "not proven"]
    table: Table = [[*head, "mean value - bound", "mean gap"]]
    groups: dict[tuple[int, float, str, str], list[tuple[int, int, int]]] = defaultdict(list)
    for row in rows:
        for name, value, bound, stay, _ in row.get("levels", ()):
            key = (row["nodes"], row["window"], row["arm"], name.partition("[")[0])
            groups[key].append((value, bound, stay))
    for (nodes, window, arm, name), found in sorted(groups.items()):
        missed = [level for level in found if level[0] > level[1]]
        apart = _mean(value - bound for value, bound, _ in missed)
        gap = _mean((v - b) / (s - b) if s > b else 0 for v, b, s in missed)
        line = [nodes, f"{window:g}", _label(arm), name, len(found), len(missed)]
        table.append([*line, f"{apart:.2f}", f"{gap:.3f}"])
    return markdown(table) if len(table) > 1 else "No bounds: the paper's model gives none.\n"


def _against_paper(rows: Sequence[Row]) -> str:
    """Each arm against the paper's model: placed pods per tier, and values of all levels.

    An arm that places less is not worse in the order if the paper's plan disturbs a higher tier
    more: its model must place a pending pod, whatever that costs the tiers above it.
    """
    baseline = {(row["instance"], row["window"]): row for row in rows if row["arm"] == PAPER}
    table: Table = [["arm", "window s", "compared by", "instances", "better", "equal", "worse"]]
    lines: list[str] = []
    counts: dict[tuple[str, float, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for row in rows:
        other = baseline.get((row["instance"], row["window"]))
        if row["arm"] == PAPER or other is None:
            continue
        placed = _compare(other["placed"], row["placed"])
        levels = _compare(row["values"], other["values"])
        counts[row["arm"], row["window"], "placed per tier"][1 - placed] += 1
        counts[row["arm"], row["window"], "all levels"][1 - levels] += 1
        if placed < 0 or levels < 0:
            lines.append(_worse(row, other, levels))
    for (arm, window, by), signs in sorted(counts.items()):
        table.append([_label(arm), f"{window:g}", by, sum(signs), *signs])
    if len(table) == 1:
        return "Only one arm: nothing to compare.\n"
    return markdown(table) + ("\n" + "\n".join(lines) + "\n" if lines else "\nNever worse.\n")


def _compare(first: Sequence[int], second: Sequence[int]) -> int:
    """1 if `first` is lexicographically smaller, -1 if it is larger, 0 if they are equal."""
    return (list(first) < list(second)) - (list(first) > list(second))


def _worse(row: Row, other: Row, levels: int) -> str:
    verdict = {1: "better in all levels", 0: "equal in all levels", -1: "WORSE in all levels"}
    sides = [
        f"{_label(one['arm'])} placed {one['placed']}, levels {one['values']} ({one['status']})"
        for one in (row, other)
    ]
    return f"- {verdict[levels]}: {row['instance']}, {row['window']:g} s: {'; '.join(sides)}"


def _label(arm: str) -> str:
    return "paper's model" if arm == PAPER else f"ours ({arm})"


def _cell(row: Row) -> tuple[int, ...]:
    return (row["nodes"], row["ppn"], row["priorities"], row["usage"])


def _mean(values: Iterable[float]) -> float:
    known = list(values)
    return sum(known) / len(known) if known else 0.0
