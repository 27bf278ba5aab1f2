"""Random tiny problems and plans for them, with every kind of rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from optsched.check import check
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import (
    Budgets,
    Cells,
    Evict,
    Hosts,
    Inflight,
    Items,
    Limit,
    LimitKind,
    PlacementProblem,
    Scope,
    Where,
)

Make = Callable[[Random], PlacementProblem]
Draw = Callable[[Random, PlacementProblem], Plan]
Mutate = Callable[[Random, PlacementProblem, Plan], Iterator[Plan]]


def some(random: Random, count: int, share: float = 0.5) -> list[int]:
    """A random subset of 0..count-1."""
    return [i for i in range(count) if random.random() < share]


def tiny_problem(random: Random) -> PlacementProblem:
    """Two to four hosts, two to six items, a few rules of each kind."""
    host_count, item_count = random.randint(2, 4), random.randint(2, 6)

    def flags(count: int, share: float) -> list[bool]:
        return [random.random() < share for _ in range(count)]

    cell_host = sorted(random.randrange(host_count) for _ in range(random.choice([0, 4, 7])))
    kinds = [random.randrange(2) for _ in cell_host]
    needed = [random.choice([0, 0, 1, 2]) if cell_host else 0 for _ in range(item_count)]
    host0, cells0 = [], []
    for i in range(item_count):
        host = random.randrange(-1, host_count)
        here = [c for c, h in enumerate(cell_host) if h == host]
        host = host if len(here) >= needed[i] else -1
        own = random.sample(here, needed[i]) if host >= 0 else []
        host0.append(host)
        cells0.append(own + [-1] * (max(needed) - len(own)))
    flying = [i for i in some(random, item_count, 0.08) if host0[i] >= 0]
    items = Items.of(
        [[random.choice([0, 1, 2, 3]), random.choice([0, 0, 1])] for _ in range(item_count)],
        cells_needed=needed,
        cell_demand=[[random.randint(0, 3)] for _ in range(item_count)] if cell_host else None,
        cell_kind=[random.choice([-1, -1, 0]) for _ in range(item_count)],
        host0=host0,
        cells0=cells0,
        tier=[random.randrange(2) for _ in range(item_count)],
        owner=[random.randrange(-1, 2) for _ in range(item_count)],
        gang=[random.choice([-1, -1, -1, 0]) for _ in range(item_count)],
        movable=[i not in flying and random.random() < 0.9 for i in range(item_count)],
        evictable=flags(item_count, 0.8),
        may_evict_others=flags(item_count, 0.8),
        lets_go_first=flags(item_count, 0.6),
        occupies=flags(item_count, 0.8),
    )
    hosts = Hosts.of(
        [[random.randint(3, 8), random.randint(1, 4)] for _ in range(host_count)],
        fixed_use=[[random.randrange(2), 0] for _ in range(host_count)],
        drain=flags(host_count, 0.1),
        moves_in=[random.choice([-1, -1, 1]) for _ in range(host_count)],
        moves_out=[random.choice([-1, -1, 1]) for _ in range(host_count)],
    )
    where = Where.of(
        hosts,
        items,
        excluded=[[0] * host_count, [random.random() < 0.2 for _ in range(host_count)]],
        item_eligible=[random.randrange(2) for _ in range(item_count)],
        keys=("zone", "rack"),
        domain=[[random.randrange(-1, 2) for _ in range(host_count)] for _ in range(2)],
        domain_names=(("a", "b"),) * 2,
        groups=[some(random, item_count, 0.6) for _ in range(3)],
        host_sets=[flags(host_count, 0.7)],
    )
    return PlacementProblem.of(
        hosts,
        items,
        where=where,
        cells=Cells.of(
            cell_host,
            [[random.randint(2, 6)] for _ in cell_host],
            fixed_use=[[random.randrange(2)] for _ in cell_host] if cell_host else 0,
            kind=kinds,
            kinds=("numa", "gpu"),
        ),
        limits=[tiny_limit(random) for _ in range(random.choice([0, 1, 2, 3]))],
        budgets=Budgets.of(
            [some(random, item_count) for _ in range(2)],
            [random.randint(0, 3) for _ in range(2)],
            scope=[int(Scope.WAVE), int(Scope.PLAN)],
        ),
        inflight=Inflight.of(flying, [random.randrange(host_count) for _ in flying]),
        when=[random.choice([0, 0, 1]) for _ in range(2)],
        evict=random.choice(list(Evict)),
        protect_higher=random.random() < 0.3,
        max_moves=random.choice([-1, -1, 1, 2]),
        owner_at_once=random.choice([-1, -1, 1]),
        tiers=("high", "low"),
        owners=("x", "y"),
        gangs=("g",),
    )


def tiny_limit(random: Random) -> Limit:
    """A limit of any kind."""
    kind = random.choice(list(LimitKind))
    return Limit(
        kind,
        key=random.randint(-1 if kind is LimitKind.MAX else 0, 2),
        subject=random.randrange(3),
        counted=random.randrange(3),
        bound=random.randint(1, 3),
        min_domains=random.choice([0, 0, 2, 3]),
        host_set=random.randint(-1, 0),
        bundle=random.randint(-1, 0),
        self_counts=random.random() < 0.5,
    )


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
def make_problem() -> Make:
    """Maker of tiny problems."""
    return tiny_problem


@pytest.fixture(scope="session")
def draw_plan() -> Draw:
    """Maker of plans for a problem."""
    return tiny_plan


@pytest.fixture(scope="session")
def mutate() -> Mutate:
    """Maker of plans that differ from a plan in one place."""
    return mutants
