"""The checker against the definition applied naively, and against every order of a wave's moves."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from random import Random

from hypothesis import event, given, settings
from hypothesis import strategies as st

from optsched.check import check, check_placement
from optsched.plan import Plan
from optsched.problem import PlacementProblem

from .definition import NOWHERE, Scene, Seat, goal, legal, room, scenes, seats_of, within_limits

Make = Callable[[Random], PlacementProblem]
Draw = Callable[[Random, PlacementProblem], Plan]
Mutate = Callable[[Random, PlacementProblem, Plan], Iterator[Plan]]


def moments(
    problem: PlacementProblem, seats: list[Seat], moves: dict[int, Seat]
) -> Iterator[Scene]:
    """Every moment of a wave at which an item arrives, in every order of its moves."""
    phases: dict[int, list[set[Seat]]] = {}
    for i, seat in moves.items():
        between = [NOWHERE] if problem.items.lets_go_first[i] else [seats[i], seat]
        phases[i] = [{seats[i]}, set(between), {seat}]
    for i, seat in moves.items():
        if seat[0] < 0:
            continue
        others = [j for j in moves if j != i]
        arrival = {seat} if problem.items.lets_go_first[i] else {seats[i], seat}
        for choice in itertools.product(*(phases[j] for j in others)):
            now = dict(zip(others, choice, strict=True)) | {i: arrival}
            spots = [now.get(j, {one}) for j, one in enumerate(seats)]
            at = [{s[0] for s in spot} if j != i else set() for j, spot in enumerate(spots)]
            yield Scene(spots, at, at, {i: seat})


SEEDS = st.integers(0, 2**32 - 1).map(Random)


@settings(max_examples=50)
@given(random=SEEDS)
def test_the_checker_applies_the_definition(
    random: Random, make_problem: Make, draw_plan: Draw, mutate: Mutate
) -> None:
    """A plan and every plan that differs in one place pass if and only if they keep every rule."""
    problem = make_problem(random)
    plan = draw_plan(random, problem)
    for one in (plan, *mutate(random, problem, plan)):
        found = check(problem, one).violations
        assert bool(found) != legal(problem, one), (one, found)
        event(f"right: {not found}")


@settings(max_examples=50)
@given(random=SEEDS)
def test_waves_run_in_any_order(random: Random, make_problem: Make, draw_plan: Draw) -> None:
    """Whatever the order of a right wave's moves, each arrival finds room and keeps every limit."""
    problem = make_problem(random)
    plan = draw_plan(random, problem)
    if any(violation.wave >= 0 for violation in check(problem, plan).violations):
        return
    for seats, moves in scenes(problem, plan):
        for scene in moments(problem, seats, moves):
            assert room(problem, scene)
            assert within_limits(problem, scene)


@settings(max_examples=50)
@given(random=SEEDS)
def test_placements_are_checked_alike(random: Random, make_problem: Make, draw_plan: Draw) -> None:
    """A placement breaks the rules that its plan breaks after the last wave."""
    problem = make_problem(random)
    plan = draw_plan(random, problem)
    report = check(problem, plan)
    found = check_placement(problem, report.placement)
    assert set(found) <= {one for one in report.violations if one.wave < 0}
    assert bool(found) != goal(problem, seats_of(report.placement))
