"""Solvers beside the optimum that trying everything finds, on tiny problems with every rule."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from optsched import registry
from optsched.arrays import Ints
from optsched.budget import Budget
from optsched.check import check, check_placement
from optsched.generate.paper import Instance, instance
from optsched.generate.paper import problem as paper_problem
from optsched.objective import evaluate
from optsched.plan import Order, Placement
from optsched.problem import Budgets, Evict, Hosts, Items, Limits, PlacementProblem
from optsched.result import Status
from optsched.solvers import perfect
from optsched.solvers.annealing import Annealing
from optsched.solvers.bounds import free_bounds
from optsched.solvers.column_generation import ColumnGeneration
from optsched.solvers.counts import CpSat
from optsched.solvers.ladder import Improver, Ladder, Step
from optsched.solvers.perfect import PerfectPacking

Make = Callable[..., PlacementProblem]

SEEDS = st.integers(0, 2**32 - 1).map(Random)
PATIENCE = 60.0  # seconds; all of these take milliseconds


def draw(
    random: Random, make: Make, *, plain: bool = False, cells: bool = False, waves: bool = False
) -> PlacementProblem:
    """A problem mostly without cells, and without rules that bind single waves if not asked for.

    Plain ones know capacities, eligible hosts and tiers only, and evict as they like: then lower
    tiers are left out of the models of higher ones.
    """
    size = {"hosts": (2, 2), "items": (2, 4)} if cells else {"hosts": (2, 3), "items": (2, 5)}
    crowd = random.choice([0.5, 0.75])
    problem = make(random, **size, cells=cells, waves=waves, crowd=crowd)
    if not plain:
        return problem
    gang, evictable = np.full(len(problem.items), -1), np.ones(len(problem.items), bool)
    for column in (gang, evictable):
        column.setflags(write=False)
    return problem.replace(
        items=replace(problem.items, gang=gang, evictable=evictable),
        limits=Limits.of(),
        budgets=Budgets.of(),
        max_moves=-1,
        protect_higher=False,
        evict=Evict.ANY,
    )


def climb(problem: PlacementProblem, *improvers: Improver) -> Ladder:
    """A ladder climbed once with all improvers."""
    ladder = Ladder(problem)
    ladder.climb([Step(one) for one in improvers], Budget.of(PATIENCE))
    return ladder


def assert_bounds_hold(every: Any, values: Sequence[int], bounds: Sequence[int]) -> None:
    """No bound is above the least value of its level, given the values of the earlier ones."""
    for k, bound in enumerate(bounds):
        least = every.best(values[:k])
        assert least is not None
        assert bound <= least[k], f"level {k}"


@pytest.mark.parametrize(("plain", "gently"), [(False, False), (True, False), (False, True)])
@settings(max_examples=60)
@given(random=SEEDS)
def test_class_counts_find_and_prove_the_optimum(
    plain: bool, gently: bool, random: Random, make_problem: Make, everything: Any
) -> None:
    """CP-SAT on class counts proves every level, with the values that are the least there are."""
    problem = draw(random, make_problem, plain=plain)
    every, ladder = everything(problem), climb(problem, CpSat(gently=gently))
    event(f"better than stay: {ladder.values < evaluate(problem, Placement.current(problem))}")
    assert ladder.values == every.best()
    assert_bounds_hold(every, ladder.values, [bound.value for bound in ladder.bounds])
    assert ladder.done()


@pytest.mark.parametrize("stays", [False, True])
@settings(max_examples=60)
@given(random=SEEDS)
def test_bounds_by_patterns_hold(
    stays: bool, random: Random, make_problem: Make, everything: Any
) -> None:
    """Column generation never bounds a level by more than can be reached, whatever the rules."""
    problem = draw(random, make_problem, plain=random.random() < 0.3)
    ladder = climb(problem, ColumnGeneration(stays=stays))
    event(f"proven: {ladder.done()}")
    assert check_placement(problem, ladder.placement) == ()
    bounds = [bound.value for bound in ladder.bounds]
    assert_bounds_hold(everything(problem), ladder.values, bounds)


@settings(max_examples=60)
@given(random=SEEDS)
def test_full_hosts_bound_what_is_unplaced(
    random: Random, make_problem: Make, everything: Any
) -> None:
    """However much there is to spare, no bound by full hosts is above what can be reached."""
    problem = draw(random, make_problem, plain=random.random() < 0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perfect, "SPARE", math.inf)
        ladder = climb(problem, PerfectPacking())
    bounds = [bound.value for bound in ladder.bounds]
    event(f"bounds: {sum(bounds)}")
    assert_bounds_hold(everything(problem), ladder.values, bounds)


@settings(max_examples=60)
@given(random=SEEDS)
def test_full_hosts_are_told_from_others(random: Random, everything: Any) -> None:
    """Not all is placed just where trying everything fills no host with one of the largest."""
    problem = tight(random)
    demand, room = problem.items.demand, problem.hosts.capacity
    spare = room.sum(axis=0) - demand.sum(axis=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perfect, "SPARE", math.inf)
        found = PerfectPacking()(Ladder(problem), 0, Budget.of(PATIENCE)).bound
    largest = np.maximum(room.max(axis=0), 1)
    kinds = np.unique(demand, axis=0, return_index=True)[1]
    first = sorted(kinds.tolist(), key=lambda i: (-(demand[i] / largest).sum(), i))
    filled = [fills(demand, one, room, spare) for one in first[: perfect.CLASSES]]
    event(f"all can be filled: {all(filled)}")
    assert (found is not None) == (not all(filled))
    if found is not None:
        assert everything(problem).best()[0] >= found.value


def tight(random: Random) -> PlacementProblem:
    """A few pending items that leave next to no room on two or three hosts."""
    wide, hosts = random.choice([1, 2, 3]), random.choice([2, 2, 3])
    demand = np.array([[random.randint(2, 8) for _ in range(wide)] for _ in range(6)])
    demand[:, 2:] = 0  # a resource that nobody asks for
    rest = -demand.sum(axis=0) % hosts
    demand[0] += rest * (demand.any(axis=0))
    room = np.tile(demand.sum(axis=0) // hosts, (hosts, 1))
    room[0] += np.array([random.randrange(3) for _ in range(wide)]) * (demand.any(axis=0))
    return PlacementProblem.of(Hosts.of(room), Items.of(demand))


def fills(demand: Ints, one: int, room: Ints, spare: Ints) -> bool:
    """Whether some items, `one` of them, fit a host and leave at most `spare` of it."""
    others = [i for i in range(len(demand)) if i != one]
    for number in range(len(demand)):
        for some in itertools.combinations(others, number):
            left = room - demand[[one, *some]].sum(axis=0)
            if ((left >= 0) & (left <= spare)).all(axis=1).any():
                return True
    return False


@settings(max_examples=60)
@given(random=SEEDS)
def test_annealing_returns_nothing_worse(random: Random, make_problem: Make) -> None:
    """What annealing offers is allowed and no worse than doing nothing."""
    problem = draw(random, make_problem, plain=random.random() < 0.3)
    ladder = climb(problem, Annealing(seed=random.randrange(9), longest=200))
    assert check_placement(problem, ladder.placement) == ()
    assert ladder.values <= evaluate(problem, Placement.current(problem))


@pytest.mark.parametrize("cells", [False, True])
@settings(max_examples=100)
@given(random=SEEDS)
def test_free_bounds_hold_for_any_placement(
    cells: bool, random: Random, make_problem: Make, everything: Any
) -> None:
    """Given what any allowed placement is worth on earlier levels, no other does better."""
    problem = draw(random, make_problem, plain=random.random() < 0.3, cells=cells)
    every = everything(problem)
    for row in random.choices(range(len(every.host)), k=5):
        if every.allowed(row):
            found = free_bounds(problem, every.placement(row), Budget.of(PATIENCE))
            values = every.values[row].tolist()
            event(f"some bound above 0: {any(one is not None and one.value for one in found)}")
            assert_bounds_hold(
                every, values, [one.value if one is not None else 0 for one in found]
            )


@pytest.mark.parametrize("name", ["greedy", "local", "portfolio"])
@settings(max_examples=15)
@given(random=SEEDS)
def test_no_result_claims_too_much_on_cells(
    name: str, random: Random, make_problem: Make, everything: Any
) -> None:
    """Whoever serves items on cells bounds them rightly."""
    problem = draw(random, make_problem, cells=True, waves=random.random() < 0.3)
    assert_claims_hold(registry.solver(name), problem, everything(problem), random.randrange(9))


@pytest.mark.parametrize("name", sorted(registry.SOLVERS))
@settings(max_examples=30)
@given(random=SEEDS)
def test_no_result_claims_too_much(
    name: str, random: Random, make_problem: Make, everything: Any
) -> None:
    """The plan passes the checker and is no worse than 'stay', bounds hold, OPTIMAL is optimal."""
    solver = registry.solver(name)
    if name == "policy":
        solver.episodes = 8  # it would sample until the patience is over
    problem = draw(random, make_problem, plain=random.random() < 0.3, waves=random.random() < 0.3)
    few = name.startswith(("fragments", "policy"))  # whose levels are few
    assert solver.supports(problem) is None or few
    assert_claims_hold(solver, problem, everything(problem), random.randrange(9))


@pytest.mark.parametrize("order", list(Order))
@settings(max_examples=25)
@given(random=SEEDS)
def test_no_result_claims_too_much_in_a_hurry(
    order: Order, random: Random, make_problem: Make, everything: Any
) -> None:
    """Nor with two workers and so little time that most of the work is cut short somewhere."""
    waves = random.random() < 0.5
    problem = make_problem(random, hosts=(2, 4), items=(3, 6), cells=False, waves=waves)
    budget = Budget.of(random.choice([0.0, 0.01, 0.03, 0.1]), workers=2)
    seed = random.randrange(9)
    assert_claims_hold(
        registry.solver("portfolio"), problem, everything(problem), seed, budget, order
    )


def assert_claims_hold(
    solver: Any,
    problem: PlacementProblem,
    every: Any,
    seed: int,
    budget: Budget | None = None,
    order: Order = Order.WAVES,
) -> None:
    """What a solver returns is safe, and as good as it says."""
    own = budget if budget is not None else Budget.of(PATIENCE)
    result = solver.solve(problem, own, seed=seed, order=order)
    report = check(problem, result.plan)
    values = tuple(level.value for level in result.levels)
    event(f"{solver.name}: {result.status}")
    assert report.violations == ()
    assert report.levels == values <= evaluate(problem, Placement.current(problem))
    assert not [note for note in result.notes if "refused" in note or "is wrong" in note]
    assert_bounds_hold(every, values, [level.bound for level in result.levels])
    assert (result.status is Status.OPTIMAL) <= (values == every.best())


@settings(max_examples=60)
@given(random=SEEDS)
def test_what_is_frozen_moves_in_no_placement_as_good(
    random: Random, make_problem: Make, everything: Any
) -> None:
    """Items that the locked levels freeze sit where they were wherever those levels are kept."""
    problem = draw(random, make_problem)
    every, ladder = everything(problem), climb(problem, CpSat())
    for level in range(len(ladder.values)):
        frozen = ladder.frozen(level)
        event(f"freezes: {bool(frozen.any())}")
        for row in every.rows(ladder.values[:level]) if frozen.any() else ():
            moved = every.host[row] != problem.items.host0
            assert not (moved & frozen).any() or not every.allowed(row)


@settings(max_examples=60)
@given(random=SEEDS)
def test_completing_keeps_the_levels_in_play(
    random: Random, make_problem: Make, everything: Any
) -> None:
    """Whatever the upper tiers do, the others can be put so that all is allowed and worth it."""
    problem = draw(random, make_problem, plain=True)
    every, ladder = everything(problem), Ladder(problem)
    allowed = [row for row in random.choices(range(len(every.host)), k=20) if every.allowed(row)]
    for level in range(len(problem.objective)):
        play = ladder.in_play(level)
        event(f"all in play: {bool(play.all())}")
        for row in allowed:
            whole = ladder.complete(every.host[row], play)
            assert check_placement(problem, whole) == ()
            values = evaluate(problem, whole)[: level + 1]
            assert values == tuple(every.values[row, : level + 1].tolist())


@pytest.mark.parametrize("name", sorted(registry.SOLVERS))
@settings(max_examples=12)
@given(random=SEEDS)
def test_whatever_the_rules_the_plan_is_safe(name: str, random: Random, make_problem: Make) -> None:
    """With cells, throttles and all orders of moves: a checked plan, and no bound it refutes."""
    solver, problem = registry.solver(name), make_problem(random, items=(3, 8))
    if solver.supports(problem) is not None:
        event(f"{name}: not served")
        return
    order = random.choice(list(Order))
    result = solver.solve(problem, Budget.of(1), seed=random.randrange(9), order=order)
    report = check(problem, result.plan)
    event(f"{name}: {result.status}")
    assert report.violations == ()
    assert result.plan.order is order
    assert report.levels == tuple(level.value for level in result.levels)
    assert report.levels <= evaluate(problem, Placement.current(problem))
    assert not [note for note in result.notes if "refused" in note or "is wrong" in note]


def first_fit(drawn: Instance) -> Ints:
    """(I,) the first node with room for each pod in turn, -1: none."""
    room = np.tile([drawn.node_cpu, drawn.node_memory], (drawn.nodes, 1))
    host = np.full(len(drawn.owner()), -1)
    for pod, demand in enumerate(drawn.demand()):
        fits = np.flatnonzero((demand <= room).all(axis=1))
        if len(fits):
            host[pod] = fits[0]
            room[fits[0]] -= demand
    return host


def tight_paper(random: Random, usage: int) -> PlacementProblem:
    """An instance of the paper's on three nodes, placed first-fit."""
    drawn = instance(random.randrange(1 << 30), 3, 4, random.choice([1, 2]), usage)
    return paper_problem(drawn, first_fit(drawn))


@pytest.mark.parametrize("usage", [95, 100, 105])
@settings(max_examples=12)
@given(random=SEEDS)
def test_tight_packings_are_bounded_as_counts_bound_them(usage: int, random: Random) -> None:
    """Patterns, few or all of them, end at the optimum of CP-SAT on counts, or below no bound."""
    asked = tight_paper(random, usage)
    best = climb(asked, CpSat())
    ladder = climb(asked, ColumnGeneration(stays=False), ColumnGeneration(stays=True))
    event(f"proven: {ladder.done()}")
    assert best.done()
    assert ladder.values >= best.values
    for k, bound in enumerate(ladder.bounds):
        if ladder.values[:k] == best.values[:k]:
            assert bound.value <= best.values[k]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("usage", [95, 100])
def test_tight_packings_are_closed(usage: int, seed: int) -> None:
    """Patterns alone find and prove what CP-SAT on counts does, on these."""
    asked = tight_paper(Random(seed * 3 + usage), usage)
    ladder = climb(asked, ColumnGeneration(stays=False), ColumnGeneration(stays=True))
    assert ladder.done()
    assert ladder.values == climb(asked, CpSat()).values
