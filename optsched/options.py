"""Wishes about a problem, as transformations: each takes a problem and gives back another.

They change the tables and nothing else, so every solver, the checker and the explanations see the
same wish. What a name does not match is a `ProblemError` that names the nearest one that exists.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .arrays import NONE
from .errors import ProblemError
from .levels import ORDERS, Level, TermKind, drain_first, then_host_cost
from .problem import Evict, PlacementProblem

PINNED = "pinned by an option"

_TIER_KINDS = {TermKind.UNPLACED, TermKind.EVICTED, TermKind.MOVED}


def with_evict(problem: PlacementProblem, evict: Evict) -> PlacementProblem:
    """Whether items may be left without a host they had."""
    return problem.replace(evict=evict)


def with_order(problem: PlacementProblem, order: str) -> PlacementProblem:
    """Weigh tiers in another order ("tier" or "place-first").

    Levels that are not about tiers keep their side: what stood before the first tier level stays
    in front, the rest follows at the end.

    Raises
    ------
    ProblemError
        There is no such order.
    """
    if order not in ORDERS:
        raise ProblemError(f"no order {order!r} (there are: {', '.join(ORDERS)})")
    own = [_about_tiers(level) for level in problem.objective]
    first = own.index(True) if True in own else len(own)
    before = problem.objective[:first]
    after = tuple(lv for lv, tiers in zip(problem.objective, own, strict=True) if not tiers)[first:]
    return problem.replace(
        objective=before + ORDERS[order](len(problem.tiers)) + after, order=order
    )


def _about_tiers(level: Level) -> bool:
    return all(term.kind in _TIER_KINDS for term in level.terms)


def with_drain(problem: PlacementProblem, hosts: Sequence[str]) -> PlacementProblem:
    """Empty these hosts: nothing enters them, and before all else the fewest items stay on them.

    Raises
    ------
    ProblemError
        The problem has no host of that name, or an item on it was pinned by `with_pins`.
    """
    drain = problem.hosts.drain.copy()
    drain[[find(problem.hosts.names, name, "host") for name in hosts]] = True
    drain.setflags(write=False)
    has_level = any(t.kind is TermKind.DRAINED for lv in problem.objective for t in lv.terms)
    drained = problem.replace(
        hosts=replace(problem.hosts, drain=drain),
        objective=problem.objective if has_level else drain_first(problem.objective),
    )
    _check_pins(drained)
    return drained


def with_pins(problem: PlacementProblem, items: Sequence[str]) -> PlacementProblem:
    """Keep these items where they are.

    Raises
    ------
    ProblemError
        The problem has no item of that name, it is pending and so has no place to be kept, or its
        host is to be emptied.
    """
    rows = [find(problem.items.names, name, "item") for name in items]
    for row in rows:
        if problem.items.host0[row] == NONE:
            raise ProblemError(
                f"{problem.items.names[row][:80]!r}: is pending, so there is no place to pin it to"
            )
    movable, evictable = problem.items.movable.copy(), problem.items.evictable.copy()
    pinned_by = problem.items.pinned_by.copy()
    new = [row for row in rows if movable[row]]
    reasons = dict.fromkeys((*problem.pin_reasons, PINNED))
    pinned_by[new] = list(reasons).index(PINNED)
    movable[rows] = evictable[rows] = False
    for table in (movable, evictable, pinned_by):
        table.setflags(write=False)
    changed = replace(problem.items, movable=movable, evictable=evictable, pinned_by=pinned_by)
    kept = problem.replace(items=changed, pin_reasons=tuple(reasons))
    _check_pins(kept)
    return kept


def _check_pins(problem: PlacementProblem) -> None:
    """Refuse a wish to keep an item on a host that another wish empties."""
    if PINNED not in problem.pin_reasons or not problem.hosts.drain.any():
        return
    items, hosts = problem.items, problem.hosts
    pinned = (items.pinned_by == problem.pin_reasons.index(PINNED)) & (items.host0 >= 0)
    for item in np.flatnonzero(pinned & hosts.drain[items.host0])[:1].tolist():
        raise ProblemError(
            f"{items.names[item][:80]!r} is to be kept on {hosts.names[items.host0[item]][:80]!r}, "
            "which is to be emptied; drop one of the two wishes"
        )


def with_max_moves(problem: PlacementProblem, moves: int) -> PlacementProblem:
    """Move at most so many items; a warning where that cannot be meant."""
    runs = int((problem.items.host0 >= 0).sum())
    said = ""
    if moves == 0:
        said = "no move is allowed (the limit is 0), so nothing that runs can be put elsewhere"
    elif moves > runs:
        said = f"the limit of {moves:,} moves is no limit: only {runs:,} items run"
    return problem.replace(
        max_moves=moves, warnings=(*problem.warnings, said) if said else problem.warnings
    )


def consolidate(problem: PlacementProblem) -> PlacementProblem:
    """Use the cheapest set of hosts; only then move the fewest items."""
    if any(term.kind is TermKind.HOST_COST for lv in problem.objective for term in lv.terms):
        return problem
    return problem.replace(objective=then_host_cost(problem.objective, before_moves=True))


def find(names: Sequence[str], name: str, what: str) -> int:
    """Index of `name`, or of the one name that ends with "/" and `name`.

    Raises
    ------
    ProblemError
        There is no such name, or several end so; the message names the nearest ones.
    """
    if name in names:
        return names.index(name)
    ending = [at for at, one in enumerate(names) if one.endswith(f"/{name}")] if name else []
    if len(ending) == 1:
        return ending[0]
    if ending:
        raise ProblemError(
            f"{len(ending)} {what}s are called {name[:80]!r}; say which, for example "
            f"{names[ending[0]][:80]!r}"
        )
    # Comparing with every name of a large cluster would take seconds.
    close = difflib.get_close_matches(name[:80], [one[:80] for one in names[:5000]], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise ProblemError(f"there is no {what} {name[:80]!r}{hint}")
