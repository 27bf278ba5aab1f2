"""Random tiny problems with every kind of rule, and placements of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import numpy as np
import pytest

from optsched.levels import (
    Level,
    Term,
    TermKind,
    drain_first,
    place_first,
    then_host_cost,
    tier_order,
)
from optsched.plan import Placement
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

from .everything import Everything

Make = Callable[..., PlacementProblem]


def some(random: Random, count: int, share: float = 0.5) -> list[int]:
    """A random subset of 0..count-1."""
    return [i for i in range(count) if random.random() < share]


def flags(random: Random, count: int, share: float) -> list[bool]:
    """Random booleans, True with probability `share`."""
    return [random.random() < share for _ in range(count)]


def tiny_problem(
    random: Random,
    *,
    hosts: tuple[int, int] = (2, 4),
    items: tuple[int, int] = (2, 6),
    cells: bool = True,
    waves: bool = True,
    crowd: float = 0.75,
    evict: Sequence[Evict] = tuple(Evict),
) -> PlacementProblem:
    """A few hosts and items, and a few rules of each kind.

    Parameters
    ----------
    hosts, items
        Least and greatest numbers.
    cells
        Whether there may be cells.
    waves
        Whether there may be rules that bind single waves (throttles, budgets of that scope).
    crowd
        Share of the items that have a host; many hosts are overcommitted then.
    evict
        What to choose from.
    """
    host_count, item_count = random.randint(*hosts), random.randint(*items)
    wide = random.choice([2, 2, 3])  # the third is one that hosts may lack
    table = tiny_items(random, item_count, host_count, crowd, cells, wide)
    owned = table.pop("cell_table")
    flying = [i for i in some(random, item_count, 0.08) if table["host0"][i] >= 0]
    table["movable"] = [i not in flying and random.random() < 0.9 for i in range(item_count)]
    made = Items.of(**table)
    places = Hosts.of(
        [
            [random.randint(3, 8), random.randint(0, 4), random.choice([0, 0, 1, 2])][:wide]
            for _ in range(host_count)
        ],
        fixed_use=[[random.randrange(2), 0, 0][:wide] for _ in range(host_count)],
        cost=[random.randint(0, 2) for _ in range(host_count)],
        drain=flags(random, host_count, 0.1),
        moves_in=[random.choice([-1, -1, 1]) if waves else -1 for _ in range(host_count)],
        moves_out=[random.choice([-1, -1, 1]) if waves else -1 for _ in range(host_count)],
    )
    return PlacementProblem.of(
        places,
        made,
        where=tiny_where(random, places, made),
        cells=owned,
        limits=[tiny_limit(random) for _ in range(random.choice([0, 1, 2, 3]))],
        budgets=tiny_budgets(random, item_count, waves),
        inflight=tiny_inflight(random, flying, made, host_count),
        when=[random.choice([0, 0, 1]) for _ in range(wide)],
        objective=tiny_objective(random, owned),
        evict=random.choice(list(evict)),
        protect_higher=random.random() < 0.3,
        max_moves=random.choice([-1, -1, 1, 2]),
        owner_at_once=random.choice([-1, -1, 1]) if waves else -1,
        tiers=("high", "middle", "low"),
        owners=("x", "y"),
        gangs=("g",),
    )


def tiny_items(
    random: Random, count: int, host_count: int, crowd: float, cells: bool, wide: int
) -> dict[str, object]:
    """Columns of items, many of them alike, and the cells ("cell_table") they sit on."""
    kinds = random.randint(1, 4)
    kind = [random.randrange(kinds) for _ in range(count)]

    def alike(draw: Callable[[], object]) -> list[object]:
        of_kind = [draw() for _ in range(kinds)]
        return [of_kind[k] if random.random() < 0.9 else draw() for k in kind]

    cell_host = sorted(random.randrange(host_count) for _ in range(random.choice([0, 4, 7])))
    cell_host = cell_host if cells else []
    needed = alike(lambda: random.choice([0, 0, 1, 2]) if cell_host else 0)
    host0, cells0 = [], []
    for i in range(count):
        host = random.randrange(host_count) if random.random() < crowd else -1
        here = [c for c, h in enumerate(cell_host) if h == host]
        host = host if len(here) >= needed[i] else -1
        own = random.sample(here, needed[i]) if host >= 0 else []
        host0.append(host)
        cells0.append(own + [-1] * (max(needed) - len(own)))
    owned = Cells.of(
        cell_host,
        [[random.randint(2, 6)] for _ in cell_host],
        fixed_use=[[random.randrange(2)] for _ in cell_host] if cell_host else 0,
        kind=[random.randrange(2) for _ in cell_host],
        kinds=("numa", "gpu"),
    )
    return {
        "cell_table": owned,
        "demand": alike(
            lambda: [random.choice(some) for some in ([0, 1, 2, 3], [0, 0, 1], [0, 0, 0, 1])][:wide]
        ),
        "cells_needed": needed,
        "cell_demand": alike(lambda: (random.randint(0, 3),)) if cell_host else None,
        "cell_kind": alike(lambda: random.choice([-1, -1, 0])),
        "host0": host0,
        "cells0": cells0,
        "tier": alike(lambda: random.randrange(3)),
        "weight": alike(lambda: random.choice([1, 1, 2])),
        "owner": [random.randrange(-1, 2) for _ in range(count)],
        "gang": alike(lambda: random.choice([-1, -1, -1, 0])),
        "evictable": alike(lambda: random.random() < 0.8),
        "may_evict_others": alike(lambda: random.random() < 0.8),
        "lets_go_first": alike(lambda: random.random() < 0.6),
        "occupies": alike(lambda: random.random() < 0.8),
    }


def tiny_where(random: Random, hosts: Hosts, items: Items) -> Where:
    """Two rows of eligible hosts, two keys that hosts may lack, three groups, a set of hosts."""
    count = len(hosts)
    row = {tuple(d): random.randrange(2) for d in items.demand.tolist()}  # alike, if items are
    return Where.of(
        hosts,
        items,
        excluded=[[0] * count, flags(random, count, 0.2)],
        item_eligible=[row[tuple(d)] for d in items.demand.tolist()],
        keys=("zone", "rack"),
        domain=[[random.randrange(-1, 2) for _ in range(count)] for _ in range(2)],
        domain_names=(("a", "b"),) * 2,
        groups=[tiny_group(random, items) for _ in range(3)],
        host_sets=[flags(random, count, 0.7)],
    )


def tiny_group(random: Random, items: Items) -> list[int]:
    """Some items, or all of some tiers."""
    if random.random() < 0.4:
        return some(random, len(items), 0.6)
    tiers = some(random, 3, 0.6)
    return [i for i, tier in enumerate(items.tier.tolist()) if tier in tiers]


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


def tiny_budgets(random: Random, item_count: int, waves: bool) -> Budgets:
    """At most one budget of each scope."""
    scopes = [Scope.WAVE] * waves + [Scope.PLAN]
    scopes = [scope for scope in scopes if random.random() < 0.6]
    return Budgets.of(
        [some(random, item_count) for _ in scopes],
        [random.randint(0, 3) for _ in scopes],
        scope=[int(scope) for scope in scopes],
    )


def tiny_inflight(random: Random, flying: list[int], items: Items, host_count: int) -> Inflight:
    """Moves of `flying` that still run, each from another host."""
    source = [(int(items.host0[i]) + random.randrange(1, host_count)) % host_count for i in flying]
    return Inflight.of(flying, source)


def tiny_objective(random: Random, cells: Cells) -> tuple[Level, ...]:
    """Levels of a shipped order, or of one that puts them together otherwise."""
    levels = random.choice([tier_order, tier_order, place_first])(3)
    extra = random.randrange(8)
    if extra == 0:
        levels = drain_first(levels)
    elif extra == 1:
        levels = then_host_cost(levels, before_moves=random.random() < 0.5)
    elif extra == 2:  # evictions cheaper than moves, as in published models
        cost = Term(TermKind.EVICTED), Term(TermKind.MOVED, weight=2)
        levels = (*place_first(3)[:3], Level("disturbed", cost))
    elif extra == 3:
        levels = (Level("unplaced", (Term(TermKind.UNPLACED),)), *levels[::-1])
    elif extra == 4:
        levels = (levels[0], Level("drained", (Term(TermKind.DRAINED, tier=1),)), *levels[1:])
    elif extra == 5 and len(cells):
        wanted = Term(TermKind.FRAGMENTS, size=random.randint(1, 2), cells=random.randint(1, 2))
        fragments = Level("fragments", (wanted,), random.choice([0, 0, 1, 3]))
        levels = (fragments, *levels) if random.random() < 0.4 else (*levels, fragments)
    return levels


def any_placement(random: Random, problem: PlacementProblem, calm: float = 0.6) -> Placement:
    """Some items somewhere else, their cells mostly well chosen, any rule perhaps broken."""
    items = problem.items
    host, cells = items.host0.copy(), items.cells0.copy()
    for i in range(len(items)):
        if random.random() < calm:
            continue
        host[i] = random.randrange(-1, len(problem.hosts))
        here = np.flatnonzero(problem.cells.host == host[i]).tolist()
        wanted = int(items.cells_needed[i]) if host[i] >= 0 else 0
        if random.random() < 0.05:
            here, wanted = list(range(len(problem.cells))) * 2, random.randrange(3)
        chosen = random.sample(here, min(wanted, len(here), cells.shape[1]))
        cells[i] = -1
        cells[i, : len(chosen)] = chosen
    return Placement.of(problem, host, cells)


@pytest.fixture(scope="session")
def make_problem() -> Make:
    """Maker of tiny problems."""
    return tiny_problem


@pytest.fixture(scope="session")
def make_placement() -> Callable[..., Placement]:
    """Maker of placements, right or wrong."""
    return any_placement


@pytest.fixture(scope="session")
def everything() -> type[Everything]:
    """All placements of a tiny problem."""
    return Everything
