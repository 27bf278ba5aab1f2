"""A snapshot file holds the whole problem, whatever its tables are."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from optsched.errors import OptschedError
from optsched.levels import ORDERS, Level, Term, TermKind, then_host_cost
from optsched.limits import Budgets, Inflight, Limit, LimitKind, Scope, Where
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import CellChoice, Evict, PlacementProblem
from optsched.snapshot import decode_plan, decode_snapshot, encode_plan, encode_snapshot
from optsched.tables import Cells, Hosts, Items

Draw = Any
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def integers(draw: Draw, low: int, high: int, *shape: int) -> np.ndarray:
    """An array of integers from low to high."""
    if not np.prod(shape):
        return np.zeros(shape, np.int64)
    seed = draw(st.integers(0, 1 << 32))
    return np.random.default_rng(seed).integers(low, high, shape, endpoint=True)


def names(draw: Draw, count: int) -> list[str]:
    """Distinct names."""
    return draw(st.lists(NAMES, min_size=count, max_size=count, unique=True))


def subsets(draw: Draw, count: int, size: int) -> list[list[int]]:
    """`count` lists of distinct numbers below `size`, in any order."""
    if not size:
        return [[] for _ in range(count)]
    one = st.lists(st.integers(0, size - 1), unique=True, max_size=size)
    return draw(st.lists(one, min_size=count, max_size=count))


def draw_items(draw: Draw, hosts: Hosts, cells: Cells, counts: dict[str, int]) -> Items:
    """Items, some running, with the cells that they need."""
    count = draw(st.integers(0, 6))
    host0 = integers(draw, -1, len(hosts) - 1, count)
    on_host = [np.flatnonzero(cells.host == host) for host in range(len(hosts))]
    needed, cells0 = [], []
    for host in host0.tolist():
        most = len(on_host[host]) if host >= 0 else 3
        need = draw(st.integers(0, min(most, 3)))
        needed.append(need)
        own = draw(st.permutations(on_host[host].tolist()))[:need] if host >= 0 else []
        cells0.append(own)
    wide = max(needed, default=0)
    return Items.of(
        integers(draw, 0, 1 << 50, count, counts["resources"]),
        names=names(draw, count),
        cells_needed=needed,
        cell_demand=integers(draw, 0, 9, count, len(cells.resources)),
        cell_kind=integers(draw, -1, len(cells.kinds) - 1, count),
        host0=host0,
        cells0=np.array([[*own, *[-1] * (wide - len(own))] for own in cells0]).reshape(count, wide),
        tier=integers(draw, 0, counts["tiers"] - 1, count),
        weight=integers(draw, 1, 3, count),
        owner=integers(draw, -1, counts["owners"] - 1, count),
        gang=integers(draw, -1, counts["gangs"] - 1, count),
        pinned_by=integers(draw, -1, counts["reasons"] - 1, count),
        **{
            flag: integers(draw, 0, 1, count)
            for flag in ("movable", "evictable", "may_evict_others", "lets_go_first", "occupies")
        },
    )


def draw_cells(draw: Draw, hosts: int) -> Cells:
    """Cells of up to two kinds."""
    on = np.sort(integers(draw, 0, hosts - 1, draw(st.integers(0, 6)) if hosts else 0))
    width, kinds = draw(st.integers(0, 2)), draw(st.integers(1, 2))
    return Cells.of(
        on,
        integers(draw, 0, 4, len(on), width),
        fixed_use=integers(draw, 0, 1, len(on), width),
        kind=integers(draw, 0, kinds - 1, len(on)),
        resources=names(draw, width),
        kinds=names(draw, kinds),
    )


def draw_where(draw: Draw, hosts: Hosts, items: Items) -> Where:
    """Eligibility rows, topology keys, groups and host sets."""
    rows, rules, keys = (draw(st.integers(1, 3)) for _ in range(3))
    groups, sets, domains = (draw(st.integers(0, 3)) for _ in range(3))
    size = len(hosts)
    return Where.of(
        hosts,
        items,
        excluded=integers(draw, 0, (1 << rules) - 1, rows, size),
        item_eligible=integers(draw, 0, rows - 1, len(items)),
        rule_names=names(draw, rules),
        keys=[f"key {name}" for name in names(draw, keys)],
        domain=integers(draw, -1, domains - 1, keys, size),
        domain_names=[names(draw, domains) for _ in range(keys)],
        groups=subsets(draw, groups, len(items)),
        group_names=names(draw, groups),
        host_sets=integers(draw, 0, 1, sets, size).astype(bool),
    )


def draw_limits(draw: Draw, where: Where) -> list[Limit]:
    """Limits over the groups there are."""
    groups = len(where.groups)
    if not groups:
        return []
    kinds = st.sampled_from(LimitKind)
    return [
        Limit(
            kind=(kind := draw(kinds)),
            key=draw(st.integers(-1 if kind is LimitKind.MAX else 0, len(where.keys) - 1)),
            subject=draw(st.integers(0, groups - 1)),
            counted=draw(st.integers(0, groups - 1)),
            bound=draw(st.integers(1, 3)),
            min_domains=draw(st.integers(0, 2)),
            host_set=draw(st.integers(-1, len(where.host_sets) - 1)),
            bundle=draw(st.integers(-1, 2)),
            self_counts=draw(st.booleans()),
            name=draw(NAMES),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]


def draw_objective(draw: Draw, tiers: int, cells: Cells) -> tuple[str, tuple[Level, ...]]:
    """A usual order, or levels of our own."""
    order = draw(st.sampled_from([*ORDERS]))
    levels = ORDERS[order](tiers)
    choice = draw(st.integers(0, 2))
    if choice == 1:
        return order, then_host_cost(levels, before_moves=draw(st.booleans()))
    if choice == 2 and cells.resources:
        at = draw(st.integers(0, len(cells.resources) - 1))
        weight, cells = (draw(st.integers(1, 3)) for _ in range(2))
        term = Term(TermKind.FRAGMENTS, weight, resource=at, size=16, cells=cells)
        alone = Level(draw(NAMES), (term,), draw(st.integers(0, 9)))
        return draw(NAMES), (alone, Level(draw(NAMES), (term, Term(TermKind.MOVED))))
    return order, levels


@st.composite
def problems(draw: Draw) -> PlacementProblem:
    """Small problems with every table filled with whatever is allowed in it."""
    counts = {name: draw(st.integers(0, 3)) for name in ("resources", "owners", "gangs", "reasons")}
    counts["tiers"] = draw(st.integers(1, 3))
    size = draw(st.integers(0, 4))
    hosts = Hosts.of(
        integers(draw, 0, 1 << 53, size, counts["resources"]),
        names=names(draw, size),
        fixed_use=integers(draw, 0, 2, size, counts["resources"]),
        cost=integers(draw, 0, 2, size),
        drain=integers(draw, 0, 1, size),
        moves_in=integers(draw, -1, 2, size),
        moves_out=integers(draw, -1, 2, size),
    )
    cells = draw_cells(draw, size)
    items = draw_items(draw, hosts, cells, counts)
    where = draw_where(draw, hosts, items)
    budgets = draw(st.integers(0, 2))
    flying = np.flatnonzero(~items.movable & (items.host0 >= 0))[: int(size > 1)]
    away = integers(draw, 1, max(size - 1, 1), len(flying))
    order, objective = draw_objective(draw, counts["tiers"], cells)
    return PlacementProblem.of(
        hosts,
        items,
        name=draw(NAMES),
        resources=names(draw, counts["resources"]),
        cells=cells,
        where=where,
        limits=draw_limits(draw, where),
        budgets=Budgets.of(
            subsets(draw, budgets, len(items)),
            integers(draw, 0, 3, budgets),
            scope=draw(st.sampled_from(Scope)),
            names=names(draw, budgets),
        ),
        inflight=Inflight.of(flying, (items.host0[flying] + away) % max(size, 1)),
        when=integers(draw, 0, 1, counts["resources"]),
        tiers=draw(st.sampled_from([None, names(draw, counts["tiers"])]))
        if items.tier.max(initial=-1) + 1 == counts["tiers"]
        else names(draw, counts["tiers"]),
        owners=names(draw, counts["owners"]),
        gangs=names(draw, counts["gangs"]),
        pin_reasons=names(draw, counts["reasons"]),
        objective=objective,
        order=order,
        evict=draw(st.sampled_from(Evict)),
        protect_higher=draw(st.booleans()),
        max_moves=draw(st.integers(-1, 3)),
        owner_at_once=draw(st.integers(-1, 3)),
        cell_choice=draw(st.sampled_from(CellChoice)),
        warnings=tuple(draw(st.lists(NAMES, max_size=2))),
    )


@given(problems())
def test_reading_back_gives_an_equal_problem(problem: PlacementProblem) -> None:
    """Written and read, a problem has the same digest and warnings, and is written the same."""
    written = encode_snapshot(problem)
    again = decode_snapshot(written)
    assert again.digest() == problem.digest()
    assert again.warnings == problem.warnings
    assert encode_snapshot(again) == written


@given(problems(), st.data())
def test_reading_a_plan_back_gives_an_equal_plan(problem: PlacementProblem, data: Any) -> None:
    """Written and read, a plan has the same waves of moves."""
    size, items = len(problem.hosts), len(problem.items)
    waves = []
    for _ in range(data.draw(st.integers(0, 2)) if items else 0):
        target = data.draw(st.integers(-1, size - 1))
        cells = np.flatnonzero(problem.cells.host == target)
        move = Move(
            data.draw(st.integers(0, items - 1)),
            data.draw(st.integers(-1, size - 1)),
            target,
            tuple(data.draw(st.permutations(cells.tolist()))[:2]),
        )
        waves.append(Wave((move,)))
    plan = Plan(problem.digest(), data.draw(st.sampled_from(Order)), tuple(waves))
    assert decode_plan(encode_plan(problem, plan), problem) == plan


@given(problems(), st.data())
def test_a_damaged_file_is_refused_or_read(problem: PlacementProblem, data: Any) -> None:
    """Whatever byte is lost or changed, there is a problem or an error of ours, no other."""
    written = bytearray(encode_snapshot(problem))
    at = data.draw(st.integers(0, len(written) - 1))
    if data.draw(st.booleans()):
        del written[at:]
    else:
        written[at] = data.draw(st.integers(0, 255))
    try:
        outcome = decode_snapshot(bytes(written), "broken.json").name
    except OptschedError as error:
        outcome = str(error)
        assert outcome.startswith("broken.json: ")
    assert isinstance(outcome, str)
