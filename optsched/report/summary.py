"""An answer as rows: what the terminal prints and the page shows, computed once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from optsched.arrays import NONE
from optsched.explain import why_pending
from optsched.objective import level_value
from optsched.plan import Move, Placement, Plan
from optsched.problem import PlacementProblem
from optsched.rates import Change, changes, fragment_level, share
from optsched.result import LevelValue, Result

from .units import amount, percent, plural, resource_words, short
from .words import pending_words

#: Levels whose names do not speak for themselves.
WORDS = {"drained": "left on hosts to be emptied", "host_cost": "cost of hosts in use"}


@dataclass(frozen=True)
class MoveRow:
    """One move in words; `kind` is "place", "move", "cells" (same host) or "evict"."""

    wave: int
    kind: str
    item: str
    source: str
    target: str
    tier: str
    owner: str


@dataclass(frozen=True)
class TierRow:
    """What happens to the items of one tier."""

    tier: str
    items: int
    pending: int
    placed: int
    left: int
    moved: int
    evicted: int


@dataclass(frozen=True)
class PendingRow:
    """An item that has no host after the plan."""

    item: str
    tier: str
    needs: str
    why: str


@dataclass(frozen=True)
class Summary:
    """Everything that is said about a plan.

    Attributes
    ----------
    tiers
        Of tiers in which something is pending or disturbed, highest first.
    moves
        In the order of the plan.
    pending
        What has no host after the plan, highest tier first.
    rates
        Fragment rates before and after; none where the objective counts no fragments.
    """

    name: str
    hosts: int
    items: int
    pending_before: int
    placed: int
    moved: int
    evicted: int
    waves: int
    tiers: tuple[TierRow, ...]
    moves: tuple[MoveRow, ...]
    pending: tuple[PendingRow, ...]
    rates: tuple[Change, ...] = ()


def summarize(problem: PlacementProblem, plan: Plan) -> Summary:
    """Put a plan in words.

    Raises
    ------
    PlanError
        The plan is not for this problem.
    """
    items = problem.items
    after = plan.placement(problem)
    had, has = items.host0 >= 0, after.host >= 0
    touched = np.zeros(len(items), bool)
    touched[[move.item for move in plan.moves()]] = True
    moved = had & has & touched
    moves = tuple(
        _move_row(problem, wave, move)
        for wave, one in enumerate(plan.waves, 1)
        for move in one.moves
    )
    return Summary(
        name=short(problem.name),
        hosts=len(problem.hosts),
        items=len(items),
        pending_before=int((~had).sum()),
        placed=int((~had & has).sum()),
        moved=int(moved.sum()),
        evicted=int((had & ~has).sum()),
        waves=len(plan.waves),
        tiers=tuple(
            row
            for tier in range(len(problem.tiers))
            for row in (_tier_row(problem, tier, after, moved),)
            if row.pending or row.moved or row.evicted
        ),
        moves=moves,
        pending=_pending_rows(problem, after),
        rates=changes(problem, after),
    )


def _tier_row(problem: PlacementProblem, tier: int, after: Placement, moved: np.ndarray) -> TierRow:
    own = problem.items.tier == tier
    had, has = problem.items.host0[own] >= 0, after.host[own] >= 0
    return TierRow(
        tier=short(problem.tiers[tier]),
        items=int(own.sum()),
        pending=int((~had).sum()),
        placed=int((~had & has).sum()),
        left=int((~has).sum()),
        moved=int(moved[own].sum()),
        evicted=int((had & ~has).sum()),
    )


def _move_row(problem: PlacementProblem, wave: int, move: Move) -> MoveRow:
    items = problem.items
    if move.source == NONE:
        kind = "place"
    elif move.target == NONE:
        kind = "evict"
    else:
        kind = "cells" if move.source == move.target else "move"
    owner = int(items.owner[move.item])
    return MoveRow(
        wave=wave,
        kind=kind,
        item=short(items.names[move.item]),
        source=_seat(problem, move.source, items.cells0[move.item].tolist()),
        target=_seat(problem, move.target, move.cells),
        tier=short(problem.tiers[items.tier[move.item]]),
        owner=short(problem.owners[owner]) if owner >= 0 else "",
    )


def _seat(problem: PlacementProblem, host: int, cells: Sequence[int]) -> str:
    """A host, with the positions of the cells that are taken there."""
    if host < 0:
        return ""
    own = [cell for cell in cells if cell >= 0 and problem.cells.host[cell] == host]
    first = int(np.searchsorted(problem.cells.host, host))
    at = " ".join(str(cell - first) for cell in sorted(own))
    return short(problem.hosts.names[host]) + (f" [{at}]" if at else "")


def needs(problem: PlacementProblem, item: int) -> str:
    """What an item asks for."""
    items = problem.items
    asked = [
        f"{amount(name, int(value))} {resource_words(name)}"
        for name, value in zip(problem.resources, items.demand[item], strict=True)
        if value and name != "pods"
    ]
    if items.cells_needed[item]:
        each = ", ".join(
            f"{amount(name, int(value))} {resource_words(name)}"
            for name, value in zip(problem.cells.resources, items.cell_demand[item], strict=True)
            if value
        )
        cells = plural(int(items.cells_needed[item]), "cell")
        asked.append(f"{cells} of {each or 'any size'}")
    return ", ".join(asked) or "nothing"


def _pending_rows(problem: PlacementProblem, after: Placement) -> tuple[PendingRow, ...]:
    reasons = why_pending(problem, after)
    return tuple(
        PendingRow(
            item=short(problem.items.names[item]),
            tier=short(problem.tiers[problem.items.tier[item]]),
            needs=needs(problem, item),
            why=pending_words(problem, item, reasons[item]),
        )
        for item in sorted(reasons, key=lambda i: (int(problem.items.tier[i]), i))
    )


def alike(rows: Sequence[PendingRow]) -> list[PendingRow]:
    """The rows with those merged that differ in the item's name alone."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for row in rows:
        groups.setdefault((row.tier, row.needs, row.why), []).append(row.item)
    return [
        PendingRow(names[0] + (f" and {len(names) - 1} alike" * (len(names) > 1)), *rest)
        for rest, names in groups.items()
    ]


def level_rows(
    problem: PlacementProblem, levels: Sequence[LevelValue]
) -> list[tuple[str, str, str, str, str, str, str]]:
    """Level, value, bound, value before, gap, proof and where the bound comes from.

    Only of levels at which something is, was or could still be.
    """
    return [
        (
            level_words(problem, one.name),
            f"{one.value:,}",
            f"{one.bound:,}",
            f"{one.stay:,}",
            gap_words(one),
            "proven" if one.proven else "open",
            one.source,
        )
        for one in levels
        if one.value or one.stay or not one.proven
    ]


def gap_words(one: LevelValue) -> str:
    """The gap; "-" where nothing was attainable over what there was, and yet nothing is proven."""
    return "-" if one.stay <= one.bound and not one.proven else percent(one.gap)


def level_words(problem: PlacementProblem, name: str) -> str:
    """A level's name with the tier's name for its number: "unplaced[0]" is "unplaced, gold"."""
    if name in WORDS:
        return WORDS[name]
    match = re.fullmatch(r"(\w+)\[(\d+)\]", name)
    if match is None or int(match[2]) >= len(problem.tiers):
        return short(name)
    tier = problem.tiers[int(match[2])]
    return f"{match[1]}, {short(tier)}" if len(problem.tiers) > 1 else match[1]


def certificate_words(problem: PlacementProblem, text: str) -> str:
    """A certificate's text with words for the names of levels."""
    known = rf"\w+\[\d+\]|\b(?:{'|'.join(WORDS)})\b"
    return re.sub(known, lambda match: level_words(problem, match[0]), text)


def rate_rows(
    problem: PlacementProblem, plan: Plan, levels: Sequence[LevelValue] = ()
) -> list[tuple[str, str, str, str, str, str, str]]:
    """Fragment rate, before, after, least possible, blocks before and after, and what is free.

    Without a bound of its own, a rate's least is left out.
    """
    after = plan.placement(problem)
    found = changes(problem, after, [level.bound for level in levels])
    rows = [
        (
            one.after.name,
            f"{one.before.share:.4f}",
            f"{one.after.share:.4f}",
            "" if one.best is None else f"{one.best:.4f}",
            f"{one.before.blocks:,}",
            f"{one.after.blocks:,}",
            amount(one.after.resource, one.after.free),
        )
        for one in found
    ]
    at = fragment_level(problem)
    if at is None or len(problem.objective[at].terms) < 2:
        return rows
    level, now = problem.objective[at], Placement.current(problem)
    bound = levels[at].bound + level.goal if levels and levels[at].bound else None
    sums = [level_value(problem, one, replace(level, goal=0)) for one in (now, after)]
    shown = ["" if one is None else f"{share(problem, level, one):.4f}" for one in (*sums, bound)]
    return [*rows, ("weighted mean", shown[0], shown[1], shown[2], "", "", "")]


def verdict(summary: Summary, result: Result) -> str:
    """The answer in one sentence."""
    if summary.rates and not summary.pending_before:
        told = ", ".join(
            f"{one.after.name} {one.before.share:.4f} -> {one.after.share:.4f}"
            for one in summary.rates
        )
    elif summary.pending_before:
        told = f"{summary.placed:,} of {summary.pending_before:,} pending items get a host"
    else:
        told = "nothing was pending"
    done = []
    if summary.moved:
        done.append(f"{summary.moved:,} moved")
    if summary.evicted:
        done.append(f"{summary.evicted:,} evicted")
    told += f", {' and '.join(done)}" if done else ", nothing is disturbed"
    proof = {
        "optimal": "proven optimal",
        "feasible": "the best plan found, not proven optimal",
        "infeasible": "no placement can satisfy the requirements",
        "unknown": "no answer in time",
    }
    return f"{told}; {proof[result.status.value]}."
