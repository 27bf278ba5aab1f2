"""The two readings of the rulebook agree, and single steps agree with whole placements."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
from hypothesis import event, given, settings
from hypothesis import strategies as st

from optsched.check import check_placement
from optsched.plan import Placement
from optsched.problem import PlacementProblem
from optsched.rules import blocks, candidates, may_enter
from optsched.state import State, placement_violations

Make = Callable[..., PlacementProblem]
Draw = Callable[..., Placement]

SEEDS = st.integers(0, 2**32 - 1).map(Random)


@settings(max_examples=300)
@given(random=SEEDS)
def test_rules_and_checker_agree(random: Random, make_problem: Make, make_placement: Draw) -> None:
    """Both find the same kinds of violations, or none; of wrong cells, both find at least these."""
    problem = make_problem(random)
    for _ in range(3):
        placement = make_placement(random, problem)
        ours = {one.rule for one in placement_violations(problem, placement)}
        theirs = {one.rule for one in check_placement(problem, placement)}
        event(f"rules broken: {len(theirs)}")
        assert bool(ours) == bool(theirs)
        if "cells" in theirs:
            assert "cells" in ours
        else:
            # An item in flight that is put elsewhere, which it may not, counts at both ends or one.
            lenient = {"capacity"} if "movable" in theirs else set()
            assert ours - lenient == theirs - lenient


@settings(max_examples=200)
@given(random=SEEDS)
def test_candidates_are_what_placing_does_not_break(
    random: Random, make_problem: Make, make_placement: Draw
) -> None:
    """A host is a candidate if and only if the item, put there, breaks none of the rules 1 to 5."""
    problem = make_problem(random)
    state = State(problem, sound(problem, make_placement(random, problem)))
    for item in range(len(problem.items)):
        found = candidates(state, item)
        assert found.tolist() == [may_enter(state, item, h) for h in range(len(found))]
        elsewhere = set(range(len(found))) - {state.host[item], problem.items.host0[item]}
        for host in sorted(elsewhere):
            assert bool(found[host]) == fits(state, item, host)


def sound(problem: PlacementProblem, placement: Placement) -> Placement:
    """The placement, items with wrong cells taken home."""
    host, cells = placement.host.copy(), placement.cells.copy()
    for found in check_placement(problem, placement):
        if found.rule == "cells" and found.item >= 0:
            host[found.item] = problem.items.host0[found.item]
            cells[found.item] = problem.items.cells0[found.item]
    return Placement.of(problem, host, cells)


def fits(state: State, item: int, host: int) -> bool:
    """Whether `item` breaks none of the rules 1 to 5 on `host`; leaves the state as it was."""
    problem, mark = state.problem, state.mark()
    try:
        state.place(item, host)
    except ValueError:
        return False
    asked = [f": {problem.resources[r]} " for r in np.flatnonzero(problem.items.demand[item])]
    broken = any(
        found.item == item
        if found.rule in ("movable", "eligible", "cells", "limit")
        else found.host == host and any(words in found.text for words in asked)
        for found in state.violations()
        if found.rule in ("movable", "eligible", "cells", "limit", "capacity")
    )
    state.undo(mark)
    return not broken


@settings(max_examples=100)
@given(random=SEEDS)
def test_blocks_name_what_candidates_lack(random: Random, make_problem: Make) -> None:
    """Every host that is no candidate is blocked by something with a name, and only those are."""
    problem = make_problem(random)
    state = State(problem)
    for item in range(len(problem.items)):
        blocked = np.zeros(len(problem.hosts), bool)
        for kind, name, hosts in blocks(state, item):
            assert kind
            assert name or kind == "limit"
            blocked |= hosts
        if problem.items.host0[item] < 0:
            assert (blocked == ~candidates(state, item)).all()
        else:
            assert not (blocked & candidates(state, item)).any()


@settings(max_examples=100)
@given(random=SEEDS)
def test_a_state_kept_up_to_date_equals_a_fresh_one(
    random: Random, make_problem: Make, make_placement: Draw
) -> None:
    """Counts and uses after many changes are those of a state filled at once; undo restores all."""
    problem = make_problem(random)
    state = State(problem)
    for _ in range(4):
        goal = sound(problem, make_placement(random, problem))
        for item in random.sample(range(len(problem.items)), len(problem.items)):
            state.place(item, int(goal.host[item]), goal.cells[item])
        alike(state, State(problem, goal))
    state.undo(0)
    alike(state, State(problem))


def alike(one: State, two: State) -> None:
    """Both hold the same placement and the same tables."""
    for name in ("host", "use", "gone", "cell_use", "counts"):
        assert (getattr(one, name) == getattr(two, name)).all(), name
