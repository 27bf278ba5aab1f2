"""The definition, once more from the rulebook and without any bookkeeping.

For every rule it looks at every item, host and domain.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from optsched.plan import Order, Placement, Plan, Wave
from optsched.problem import Evict, LimitKind, PlacementProblem, Scope

Seat = tuple[int, frozenset[int]]  # host and cells
NOWHERE: Seat = (-1, frozenset())


@dataclass
class Scene:
    """What a rule for arrivals sees: a wave, a placement, or one moment of a wave.

    Attributes
    ----------
    spots
        Per item, all seats it takes up.
    present
        Per item, the hosts where it was when the scene began.
    steady
        Per item, the hosts that it keeps throughout.
    entering
        Arriving items and their new seats.
    lingering
        (item, host) that count for rows that hold during the plan.
    """

    spots: list[set[Seat]]
    present: list[set[int]]
    steady: list[set[int]]
    entering: dict[int, Seat]
    lingering: set[tuple[int, int]] = field(default_factory=set)


def members(problem: PlacementProblem, row: int) -> tuple[list[int], list[int]]:
    """Subject and counted items of a limit."""
    groups = problem.where.groups
    return (
        groups[int(problem.limits.subject[row])].tolist(),
        groups[int(problem.limits.counted[row])].tolist(),
    )


def domain(problem: PlacementProblem, key: int, host: int) -> int:
    """Domain of a host, -1 for none."""
    if host < 0:
        return -1
    return 0 if key < 0 else int(problem.where.domain[key, host])


def room(problem: PlacementProblem, scene: Scene) -> bool:
    """Rules 3 and 4 for all that enters."""
    items, hosts, cells = problem.items, problem.hosts, problem.cells
    everyone = range(len(items))
    running = set(
        zip(problem.inflight.item.tolist(), problem.inflight.source.tolist(), strict=True)
    )
    for i, (h, own) in scene.entering.items():
        for r in np.flatnonzero(items.demand[i]):
            held = running | (scene.lingering if problem.when[r] == 1 else set())
            users = [j for j in everyone if (j, h) in held or h in {s[0] for s in scene.spots[j]}]
            if hosts.fixed_use[h, r] + items.demand[users, r].sum() > hosts.capacity[h, r]:
                return False
        for c, s in itertools.product(own, np.flatnonzero(items.cell_demand[i])):
            users = [j for j in everyone if any(c in seat[1] for seat in scene.spots[j])]
            if cells.fixed_use[c, s] + items.cell_demand[users, s].sum() > cells.capacity[c, s]:
                return False
    return True


def within_limits(problem: PlacementProblem, scene: Scene) -> bool:
    """Rule 5 for all that enters."""
    read = {
        LimitKind.MAX: at_most,
        LimitKind.CONFLICT: apart,
        LimitKind.REQUIRE: together,
        LimitKind.SKEW: spread,
    }
    rows = range(len(problem.limits))
    return all(read[LimitKind(int(problem.limits.kind[r]))](problem, scene, r) for r in rows)


def at_most(problem: PlacementProblem, scene: Scene, row: int) -> bool:
    """A MAX row."""
    key, (_, counted) = int(problem.limits.key[row]), members(problem, row)
    for i in set(counted) & set(scene.entering):
        d = domain(problem, key, scene.entering[i][0])
        total = sum(any(domain(problem, key, s[0]) == d for s in scene.spots[j]) for j in counted)
        if d >= 0 and total > problem.limits.bound[row]:
            return False
    return True


def apart(problem: PlacementProblem, scene: Scene, row: int) -> bool:
    """A CONFLICT row."""
    key = int(problem.limits.key[row])
    for a, b in itertools.product(*members(problem, row)):
        for one, other in ((a, b), (b, a)):
            if a != b and one in scene.entering:
                d = domain(problem, key, scene.entering[one][0])
                if d >= 0 and any(domain(problem, key, s[0]) == d for s in scene.spots[other]):
                    return False
    return True


def bundle(problem: PlacementProblem, row: int) -> list[int]:
    """Keys of the row's bundle."""
    number = problem.limits.bundle[row]
    rows = [row] if number < 0 else np.flatnonzero(problem.limits.bundle == number).tolist()
    return sorted({int(problem.limits.key[r]) for r in rows} - {-1})


def together(problem: PlacementProblem, scene: Scene, row: int) -> bool:
    """A REQUIRE row."""
    key, keys = int(problem.limits.key[row]), bundle(problem, row)
    subject, counted = members(problem, row)

    def any_key(host: int) -> bool:
        return any(domain(problem, k, host) >= 0 for k in keys)

    for i in set(subject) & set(scene.entering):
        d = domain(problem, key, scene.entering[i][0])
        if d < 0:
            return False
        if any(j != i and domain(problem, key, h) == d for j in counted for h in scene.steady[j]):
            continue
        begun = any(j != i and any_key(h) for j in counted for h in scene.present[j])
        starts = {
            tuple(domain(problem, k, scene.entering[j][0]) for k in keys)
            for j in {i, *counted}
            if j == i or (j in scene.entering and any_key(scene.entering[j][0]))
        }
        if begun or len(starts) > 1 or not problem.limits.self_counts[row]:
            return False
    return True


def spread(problem: PlacementProblem, scene: Scene, row: int) -> bool:
    """A SKEW row."""
    key, keys = int(problem.limits.key[row]), bundle(problem, row)
    subject, counted = members(problem, row)
    of, limits = int(problem.limits.host_set[row]), problem.limits
    inner = {
        h: domain(problem, key, h)
        for h in range(len(problem.hosts))
        if (of < 0 or problem.where.host_sets[of, h])
        and all(domain(problem, k, h) >= 0 for k in keys)
    }
    steady = [{inner[h] for h in scene.steady[j] if h in inner} for j in counted]
    least = min((sum(d in one for one in steady) for d in inner.values()), default=0)
    if len(set(inner.values())) < limits.min_domains[row]:
        least = 0
    for i in set(subject) & set(scene.entering):
        host = scene.entering[i][0]
        if any(domain(problem, k, host) < 0 for k in keys):
            return False
        d = domain(problem, key, host)
        others = sum(
            j != i and any(inner.get(s[0], -1) == d for s in scene.spots[j]) for j in counted
        )
        if inner and others + limits.self_counts[row] - least > limits.bound[row]:
            return False
    return True


def welcome(problem: PlacementProblem, entering: dict[int, Seat]) -> bool:
    """Rule 2."""
    where = problem.where
    return not any(
        where.excluded[where.item_eligible[i], seat[0]] or problem.hosts.drain[seat[0]]
        for i, seat in entering.items()
    )


def seats_well(problem: PlacementProblem, item: int, host: int, cells: Iterable[int]) -> bool:
    """Rule 4: as many distinct cells of the host and of the kind as needed."""
    listed, kind = list(cells), problem.items.cell_kind[item]
    needed = problem.items.cells_needed[item] if host >= 0 else 0
    return len(set(listed)) == len(listed) == needed and all(
        0 <= c < len(problem.cells)
        and problem.cells.host[c] == host
        and kind in (-1, problem.cells.kind[c])
        for c in listed
    )


def goal(problem: PlacementProblem, seats: list[Seat]) -> bool:
    """Rules 1 to 9 for a placement."""
    items, everyone = problem.items, range(len(problem.items))
    old = current(problem)
    entering = {i: seats[i] for i in everyone if seats[i] != old[i] and seats[i][0] >= 0}
    left = {i for i in everyone if 0 <= old[i][0] != seats[i][0]}
    disturbed = {i for i in everyone if old[i][0] >= 0 and seats[i] != old[i]}
    hosts = [seat[0] for seat in seats]
    lingering = {(i, old[i][0]) for i in left if not items.lets_go_first[i]}
    at = [{host} for host in hosts]
    scene = Scene([{seat} for seat in seats], at, at, entering, lingering)

    def evicts_well(i: int) -> bool:
        takers = [j for j in entering if hosts[j] == old[i][0]]
        return problem.evict == Evict.ANY or (
            problem.evict == Evict.LOWER
            and all(items.may_evict_others[j] and items.tier[j] < items.tier[i] for j in takers)
        )

    gangs = {int(items.gang[i]) for i in {*entering, *left}} - {-1}
    budgets = problem.budgets
    return (
        all(items.movable[i] for i in disturbed)
        and welcome(problem, entering)
        and all(seats_well(problem, i, *seats[i]) for i in everyone if seats[i] != old[i])
        and room(problem, scene)
        and within_limits(problem, scene)
        and all(items.evictable[i] and evicts_well(i) for i in left if hosts[i] < 0)
        and not (
            problem.protect_higher
            and any(
                hosts[i] == old[j][0] and items.tier[i] > items.tier[j]
                for i, j in itertools.product(entering, left)
            )
        )
        and all(len({hosts[i] < 0 for i in everyone if items.gang[i] == g}) == 1 for g in gangs)
        and all(
            budgets.scope[b] == Scope.WAVE
            or len(disturbed & set(budgets.groups[b].tolist())) <= budgets.allowed[b]
            for b in range(len(budgets))
        )
        and not 0 <= problem.max_moves < len({i for i in disturbed if hosts[i] >= 0})
    )


def seats_of(placement: Placement) -> list[Seat]:
    """Hosts and cells of every item."""
    return [
        (int(host), frozenset(cell for cell in row if cell >= 0))
        for host, row in zip(placement.host, placement.cells.tolist(), strict=True)
    ]


def current(problem: PlacementProblem) -> list[Seat]:
    """Where everything sits now."""
    return seats_of(Placement.current(problem))


def wave_scene(problem: PlacementProblem, seats: list[Seat], moves: dict[int, Seat]) -> Scene:
    """A wave that starts from the seats."""
    spots = [{seat, moves.get(i, seat)} for i, seat in enumerate(seats)]
    present = [{seat[0]} for seat in seats]
    stays = {i for i, seat in moves.items() if seat[0] in present[i]}
    away = {i for i in moves if i not in stays or problem.items.lets_go_first[i]}
    steady = [set() if i in away else at for i, at in enumerate(present)]
    entering = {i: seat for i, seat in moves.items() if seat[0] >= 0}
    return Scene(spots, present, steady, entering)


def gentle(problem: PlacementProblem, seats: list[Seat], moves: dict[int, Seat]) -> bool:
    """Budgets, owner limits and throttles of one wave."""
    items, hosts, budgets = problem.items, problem.hosts, problem.budgets
    flying = problem.inflight.item.tolist()
    disturbed = {i for i in moves if seats[i][0] >= 0}

    def few(group: set[int], allowed: int) -> bool:
        return not disturbed & group or len((disturbed | set(flying)) & group) <= allowed

    for o in range(len(problem.owners)):
        own = set(np.flatnonzero(items.owner == o).tolist())
        if problem.owner_at_once >= 0 and not few(own, problem.owner_at_once):
            return False
    for h in range(len(hosts)):
        onto = sum(seat[0] == h for seat in moves.values())
        off = sum(seats[i][0] == h != seat[0] for i, seat in moves.items())
        running_in = sum(items.host0[i] == h for i in flying)
        running_out = int((problem.inflight.source == h).sum())
        if onto and 0 <= hosts.moves_in[h] < onto + running_in:
            return False
        if off and 0 <= hosts.moves_out[h] < off + running_out:
            return False
    return all(
        budgets.scope[b] == Scope.PLAN
        or few(set(budgets.groups[b].tolist()), int(budgets.allowed[b]))
        for b in range(len(budgets))
    )


def well_formed(problem: PlacementProblem, seats: list[Seat], wave: Wave) -> bool:
    """Whether the moves are moves of this problem, from where their items are."""
    listed = [move.item for move in wave.moves]
    return len(set(listed)) == len(listed) and all(
        0 <= m.item < len(problem.items)
        and -1 <= m.target < len(problem.hosts)
        and m.source == seats[m.item][0]
        and seats_well(problem, m.item, m.target, m.cells)
        and (m.target, frozenset(m.cells)) != seats[m.item]
        for m in wave.moves
    )


def scenes(problem: PlacementProblem, plan: Plan) -> Iterator[tuple[list[Seat], dict[int, Seat]]]:
    """Every wave of a well-formed plan: the seats it starts from, and its moves."""
    seats = current(problem)
    for wave in plan.waves:
        moves = {m.item: (m.target, frozenset(m.cells)) for m in wave.moves}
        yield list(seats), moves
        for item, seat in moves.items():
            seats[item] = seat


def legal(problem: PlacementProblem, plan: Plan) -> bool:
    """Whether a plan keeps every rule, by the definition."""
    seats, gone, hops = current(problem), set[int](), 0
    if plan.problem != problem.digest() or (plan.order is Order.SAFE and len(plan.waves) > 1):
        return False
    for wave in plan.waves:
        if not well_formed(problem, seats, wave):
            return False
        moves = {m.item: (m.target, frozenset(m.cells)) for m in wave.moves}
        scene = wave_scene(problem, seats, moves)
        back = gone & set(scene.entering)
        if back and not (
            plan.order is Order.PARK and all(problem.items.lets_go_first[i] for i in back)
        ):
            return False
        if not (
            all(problem.items.movable[i] or problem.items.host0[i] < 0 for i in moves)
            and welcome(problem, scene.entering)
            and room(problem, scene)
            and within_limits(problem, scene)
            and gentle(problem, seats, moves)
        ):
            return False
        hops += sum(m.source >= 0 and m.target >= 0 for m in wave.moves)
        gone |= {i for i, seat in moves.items() if seat == NOWHERE}
        seats = [moves.get(i, seat) for i, seat in enumerate(seats)]
    return goal(problem, seats) and not 0 <= problem.max_moves < hops
