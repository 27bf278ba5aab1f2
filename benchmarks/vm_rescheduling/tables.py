"""Rows of `run` as tables, and the fragment rate against moves as a plot."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.markdown import markdown
from benchmarks.vm_rescheduling.arms import FIRST
from optsched.result import LevelValue

Row = dict[str, Any]
ENOUGH = 0.8  # of greedy's gain
NOTES = """\
- seconds: from the problem to the checked plan; imports, compilation and the garbage of earlier
  calls are not counted
- gap: (value - bound) / (value of staying - bound), the mean over all n; a snapshot on which
  nothing was attainable counts as 0. A method that looks for no bound is measured by the best that
  another one proved for the same snapshot, MNL and order
- proven: plans that meet their bound, which may be 0
- HA and random make one move after another, so they answer for 'waves' whatever is asked; the
  per-VM model is order-safe
- replayed: in random orders within the waves on a simulator of its own; the value that the method
  tells, and FR16, FR64 and MEM64 of the checked placement, are what it counts
- every row was run for itself, in the process of its part; where a proof comes before the shorter
  of two limits, both runs do the same work and take about the same seconds"""
HEAD = [
    "snapshots", "rate", "n", "PMs", "VMs", "MNL", "order", "method", "limit s", "FR before",
    "FR after", "FR bound", "proven", "gap", "moves", "median s", "worst s", "replayed", "peak MiB",
]  # fmt: skip


def read(path: Path) -> list[Row]:
    """The rows of a JSON-lines file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def lines(rows: Sequence[Row]) -> str:
    """One line for every group of equal questions."""
    best = _best(rows)
    return markdown([HEAD, *(_line(group, best) for group in _groups(rows))])


def page(rows: Sequence[Row], header: str) -> str:
    """Everything, with a header that says where it comes from."""
    load = mean(row["load"] for row in rows) if rows else 0.0
    return "\n".join(
        [
            "# VM rescheduling\n",
            f"{header}\n- load per core while solving: {load:.2f} on average (with the solve "
            f"itself; above 1 the machine was shared)\n{NOTES}\n",
            lines(rows),
            "## First plans with at least 80 % of greedy's gain\n",
            "'In the limit' is a whole call under a limit of 0.05 s (5,000 PMs: 0.2 s), 'found' "
            "when the ordinary call first tells of a placement that gains as much; 'checked' is "
            "when the plan is there if it is stopped then. Each with the most seconds and the "
            "least share of greedy's gain.\n",
            _first(rows),
        ]
    )


def _groups(rows: Iterable[Row]) -> list[list[Row]]:
    """Rows that differ in their snapshots alone, every snapshot once: what was run first counts."""
    groups: dict[tuple[object, ...], dict[int, Row]] = {}
    for row in rows:
        key = tuple(row[k] for k in ("kind", "objective", "mnl", "order", "arm", "limit"))
        groups.setdefault(key, {}).setdefault(row["seed"], row)
    return [list(group.values()) for group in groups.values()]


def _best(rows: Iterable[Row]) -> dict[tuple[object, ...], int]:
    """The highest bound that anybody proved, question by question."""
    best: dict[tuple[object, ...], int] = {}
    for row in rows:
        if row["bound"] is not None:
            question = _question(row)
            best[question] = max(best.get(question, row["bound"]), row["bound"])
    return best


def _line(rows: Sequence[Row], best: Mapping[tuple[object, ...], int]) -> list[object]:
    one = rows[0]
    bounded = [row for row in rows if row["bound"] is not None]
    proven = sum(row["after"] <= row["bound"] for row in bounded)
    gaps = [gap(row, best) for row in rows]
    known = [value for value in gaps if value is not None]
    return [
        one["kind"],
        one["objective"],
        len(rows),
        one["pms"],
        round(mean(row["vms"] for row in rows)),
        one["mnl"],
        one["order"],
        one["arm"],
        f"{one['limit']:g}",
        f"{mean(_share(row['before'], row['free']) for row in rows):.4f}",
        f"{mean(_share(row['after'], row['free']) for row in rows):.4f}",
        f"{mean(_share(row['bound'], row['free']) for row in bounded):.4f}" if bounded else "",
        f"{proven} of {len(rows)}" if bounded else "",
        f"{mean(known):.3f}" if known else "",
        f"{mean(row['moves'] for row in rows):.1f}",
        f"{median(row['seconds'] for row in rows):.3f}",
        f"{max(row['seconds'] for row in rows):.3f}",
        "yes" if all(row["replayed"] and not row["violations"] for row in rows) else "NO",
        max(row["peak"] for row in rows if "peak" in row) if any("peak" in r for r in rows) else "",
    ]


def gap(row: Row, best: Mapping[tuple[object, ...], int]) -> float | None:
    """The share of the attainable improvement that was not taken; 0 where none was attainable.

    By the row's own bound, 0 included; of a method without one, by the best that another one proved
    of the same question (`best`). None: nobody proved any.
    """
    bound = row["bound"] if row["bound"] is not None else best.get(_question(row))
    if bound is None:
        return None
    return LevelValue("", row["after"], bound, row["before"]).gap


def _first(rows: Sequence[Row]) -> str:
    """When ours first gains most of what greedy gains in the end, family by family."""
    greedy = {_question(row): row for row in rows if row["arm"] == "greedy"}
    found: dict[tuple[object, ...], dict[str, list[tuple[float, float]]]] = {}
    for row in (row for group in _groups(rows) for row in group):
        other = greedy.get(_question(row))
        if row["arm"] not in ("ours", FIRST) or other is None:
            continue
        whole = other["before"] - other["after"]
        family = (row["kind"], row["pms"], row["mnl"], row["order"])
        ways = found.setdefault(family, {"limit": [], "found": [], "checked": []})
        if row["arm"] == FIRST or row["limit"] < 1:
            way = "checked" if row["arm"] == FIRST else "limit"
            ways[way].append((row["seconds"], _part(row["before"] - row["after"], whole)))
            continue
        shares = [(at, _part(row["before"] - value, whole)) for at, value in row["incumbents"]]
        ways["found"] += [one for one in shares if one[1] >= ENOUGH][:1]
    table: list[list[object]] = [
        [
            *("snapshots", "PMs", "MNL", "order", "n", "in the limit s", "share"),
            *("found s", "share", "checked s", "share"),
        ]
    ]
    for family, ways in found.items():
        if not ways["limit"] and not ways["checked"]:
            continue
        cells = [cell for way in ways.values() for cell in _worst(way)]
        table.append([*family, max(map(len, ways.values())), *cells])
    return markdown(table)


def _part(gain: int, whole: int) -> float:
    return gain / whole if whole > 0 else 1.0


def _share(value: int, free: int) -> float:
    return value / free if free else 0.0


def _worst(way: Sequence[tuple[float, float]]) -> tuple[str, str]:
    """The most seconds and the least share, in words; nothing where there are none."""
    if not way:
        return "", ""
    return f"{max(at for at, _ in way):.3f}", f"{min(share for _, share in way):.2f}"


def _question(row: Row) -> tuple[object, ...]:
    return row["kind"], row["objective"], row["seed"], row["mnl"], row["order"]
