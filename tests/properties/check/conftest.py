"""Random plans for tiny problems, and plans that differ from them in one place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from optsched.check import check
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import PlacementProblem

Draw = Callable[[Random, PlacementProblem], Plan]
Mutate = Callable[[Random, PlacementProblem, Plan], Iterator[Plan]]


def tiny_move(random: Random, problem: PlacementProblem, plan: Plan) -> Move:
    """A well-formed move, mostly, from where the plan's waves have led."""
    seats = plan.placement(problem)
    item = random.randrange(len(problem.items))
    target = random.randrange(-1, len(problem.hosts))
    here = np.flatnonzero(problem.cells.host == target).tolist()
    wanted = int(problem.items.cells_needed[item]) if target >= 0 else 0
    cells = tuple(random.sample(here, min(wanted, len(here))))
    return Move(item, int(seats.host[item]), target, cells)


def tiny_plan(random: Random, problem: PlacementProblem) -> Plan:
    """Waves that the checker mostly lets through, so that many plans are right."""
    plan = Plan(problem.digest(), random.choice(list(Order)))
    for _ in range(random.randint(1, 3)):
        moves: tuple[Move, ...] = ()
        for _ in range(8):
            tried = (*moves, tiny_move(random, problem, plan))
            found = check(problem, replace(plan, waves=(*plan.waves, Wave(tried)))).violations
            if not any(one.wave >= 0 for one in found) or random.random() < 0.02:
                moves = tried
        plan = replace(plan, waves=(*plan.waves, Wave(moves)))
    return plan


def mutants(random: Random, problem: PlacementProblem, plan: Plan) -> Iterator[Plan]:
    """Plans that differ from a plan in one place."""

    def changed(wave: int, moves: Iterable[Move]) -> Plan:
        waves = list(plan.waves)
        waves[wave] = Wave(tuple(moves))
        return replace(plan, waves=tuple(waves))

    places = [(w, k) for w, wave in enumerate(plan.waves) for k in range(len(wave.moves))]
    for w, k in places:
        moves = list(plan.waves[w].moves)
        move, host = moves[k], random.randrange(-1, len(problem.hosts))
        yield changed(w, moves[:k] + moves[k + 1 :])
        yield changed(w, [*moves, move])
        for other in (
            replace(move, source=random.randrange(-1, len(problem.hosts))),
            replace(move, target=host, cells=move.cells if host >= 0 else ()),
            replace(move, item=random.randrange(len(problem.items))),
            replace(move, cells=(random.randrange(len(problem.cells) + 1), *move.cells[1:])),
        ):
            yield changed(w, [*moves[:k], other, *moves[k + 1 :]])
        for j in range(k):
            one = replace(moves[j], target=move.target, cells=move.cells)
            two = replace(move, target=moves[j].target, cells=moves[j].cells)
            yield changed(w, [*moves[:j], one, *moves[j + 1 : k], two, *moves[k + 1 :]])
    item = random.randrange(len(problem.items))
    extra = Move(item, int(problem.items.host0[item]), random.randrange(-1, len(problem.hosts)))
    yield changed(0, [*plan.waves[0].moves, extra])
    for w in range(1, len(plan.waves)):
        joined = Wave(plan.waves[w - 1].moves + plan.waves[w].moves)
        yield replace(plan, waves=(*plan.waves[: w - 1], joined, *plan.waves[w + 1 :]))
        turned = (plan.waves[w], plan.waves[w - 1])
        yield replace(plan, waves=(*plan.waves[: w - 1], *turned, *plan.waves[w + 1 :]))
    for order in Order:
        yield replace(plan, order=order)
    yield replace(plan, problem="another")


@pytest.fixture(scope="session")
def draw_plan() -> Draw:
    """Maker of plans for a problem."""
    return tiny_plan


@pytest.fixture(scope="session")
def mutate() -> Mutate:
    """Maker of plans that differ from a plan in one place."""
    return mutants
