"""Which moves may share a wave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optsched.plan import Move
from optsched.problem import (
    Budgets,
    Cells,
    Hosts,
    Inflight,
    Items,
    Limit,
    LimitKind,
    PlacementProblem,
    Where,
)
from optsched.state import State
from optsched.waves import WaveRoom


def joins(problem: PlacementProblem, *moves: tuple[int, int]) -> list[bool]:
    """Whether each move, (item, target), may join a wave after those before it."""
    room = WaveRoom(State(problem))
    return [room.join(item, target) for item, target in moves]


def on(host0: list[int], *, size: int = 1, hosts: Hosts | None = None, **options: Any) -> Any:
    """Items of size 1, those of `movable` False in flight or fixed, on three hosts of one size."""
    of_items = {name: options.pop(name) for name in list(options) if name in Items.__annotations__}
    hosts = hosts if hosts is not None else Hosts.of([[size]] * 3)
    items = Items.of([[1]] * len(host0), host0=host0, **of_items)
    return PlacementProblem.of(hosts, items, **options)


def limited(host0: list[int], *rows: Limit, groups: list[list[int]]) -> PlacementProblem:
    """Items on four hosts in two zones."""
    hosts, items = Hosts.of([[9]] * 4), Items.of([[1]] * len(host0), host0=host0)
    where = Where.of(hosts, items, keys=["zone"], domain=[[0, 0, 1, 1]], groups=groups)
    return PlacementProblem.of(hosts, items, where=where, limits=rows)


def test_who_leaves_makes_no_room_yet() -> None:
    """What arrives must fit beside what is there at the start, leavers included."""
    assert joins(on([0, -1]), (0, 1), (1, 0)) == [True, False]
    assert joins(on([0, -1]), (0, 1), (1, 2)) == [True, True]
    assert joins(on([0, -1]), (0, -1), (1, 0)) == [True, False]


def test_arrivals_share_the_room() -> None:
    """All that arrives at a host fits together."""
    assert joins(on([-1, -1, -1], size=2), (0, 0), (1, 0), (2, 0)) == [True, True, False]


def test_a_refused_move_leaves_no_trace() -> None:
    """After a refusal the wave is what it was."""
    room = WaveRoom(State(on([-1, -1])))
    assert room.join(0, 0)
    assert not room.join(1, 0)
    assert room.join(1, 1)
    assert room.wave().moves == (Move(0, -1, 0), Move(1, -1, 1))


def test_cells_are_shared_like_hosts() -> None:
    """Arrivals get cells of their own, or those that were asked for if they are free."""
    items = Items.of([[0]] * 3, cells_needed=1, cell_demand=[[1]] * 3, host0=[0, -1, -1],
                     cells0=[[0], [-1], [-1]])  # fmt: skip
    problem = PlacementProblem.of(Hosts.of([[1]]), items, cells=Cells.of([0] * 3, [[1]] * 3))
    room = WaveRoom(State(problem))
    assert not room.join(1, 0, problem.items.cells0[0])  # taken
    assert room.join(0, 0, problem.items.cells0[0] + 2)
    assert room.join(1, 0)
    assert [move.cells for move in room.moves] == [(2,), (1,)]
    assert not room.join(2, 0)


def test_owners_disturb_a_few_at_a_time() -> None:
    """Arrivals of pending items are no disturbance; what has no owner is free."""
    problem = on([0, 0, -1, 0], size=9, owner=[0, 0, 0, -1], owner_at_once=1)
    assert joins(problem, (0, 1), (1, 1), (2, 1), (3, 1)) == [True, False, True, True]


def test_budgets_count_evictions_and_moves() -> None:
    """Each group has so many disturbances per wave."""
    problem = on([0, 0, 0], size=9, budgets=Budgets.of([[0, 1, 2], [2]], [2, 0]))
    assert joins(problem, (2, 1), (0, -1), (1, 1)) == [False, True, True]
    assert joins(problem, (0, 1), (1, 1), (0, 2)) == [True, True, False]


def test_hosts_are_throttled() -> None:
    """Moves onto a host count pending items, moves off it evictions."""
    hosts = Hosts.of([[9]] * 3, moves_in=[-1, 1, -1], moves_out=[1, -1, -1])
    problem = on([0, 0, -1], hosts=hosts)
    assert joins(problem, (0, 1), (2, 1), (1, 2)) == [True, False, False]
    assert joins(problem, (0, -1), (1, 2), (2, 1)) == [True, False, True]


def test_moves_in_flight_use_up_what_waves_allow() -> None:
    """A running move counts for its source, its target, its owner and its budgets."""
    hosts = Hosts.of([[9]] * 3, moves_in=[1, -1, -1], moves_out=[-1, 1, -1])
    problem = on(
        [0, 1, 2], hosts=hosts, movable=[False, True, True], inflight=Inflight.of([0], [1]),
        owner=[0, -1, 0], owner_at_once=1, budgets=Budgets.of([[0, 1]], [1]),
    )  # fmt: skip
    assert joins(problem, (1, 2), (2, 0), (2, 1)) == [False, False, False]
    calm = problem.replace(owner_at_once=-1, budgets=Budgets.of())
    assert joins(calm, (1, 2), (2, 0), (2, 1)) == [False, False, True]


@pytest.mark.parametrize("key", [0, 1])
def test_rivals_wait_until_the_other_is_gone(key: int) -> None:
    """Two that may not meet cannot change places, nor arrive together."""
    row = Limit(LimitKind.CONFLICT, key=key, subject=0, counted=0)
    problem = limited([0, -1, -1], row, groups=[[0, 1, 2]])
    assert joins(problem, (0, 2), (1, 0)) == [True, False]
    assert joins(problem, (1, 2), (2, 2)) == [True, False]


def test_company_must_stay() -> None:
    """Who needs company may not count on one that leaves, however they join the wave."""
    row = Limit(LimitKind.REQUIRE, key=1, subject=1, counted=0)
    problem = limited([0, -1], row, groups=[[0], [1]])
    assert joins(problem, (1, 1), (0, 2)) == [True, False]
    assert joins(problem, (0, 2), (1, 1)) == [True, False]
    assert joins(problem, (0, 2), (1, 2)) == [True, False]  # it may arrive too late


def test_spread_holds_even_if_leavers_go_first() -> None:
    """The emptiest domain is counted without those that leave it."""
    row = Limit(LimitKind.SKEW, key=1, subject=0, counted=0, bound=1, self_counts=True)
    problem = limited([0, 2, -1], row, groups=[[0, 1, 2]])
    assert joins(problem, (1, -1), (2, 0)) == [True, False]
    assert joins(problem, (2, 0), (1, -1)) == [True, False]
    assert joins(problem, (2, 0)) == [True]


def test_the_next_wave_begins_where_this_one_led() -> None:
    """Counts and room are as if the wave were the first from this state."""
    problem = limited([0, 1, 2, -1], Limit(LimitKind.SKEW, 1, 0, 0, 1, self_counts=True),
                      groups=[[0, 1, 2, 3]])  # fmt: skip
    state = State(problem)
    room = WaveRoom(state)
    for moves in ([(3, 3), (0, 1)], [(3, -1), (2, 0)], [(1, 2)]):
        for item, target in moves:
            room.join(item, target)
        for move in room.moves:
            state.place(move.item, move.target, move.cells)
        assert room.moves
        room.next()
        fresh = WaveRoom(state)
        for name in ("use", "cell_use"):
            assert (getattr(room, name) == getattr(fresh, name)).all(), name
        for counts in (room.counts, room.floor, fresh.counts, fresh.floor):
            assert counts[:].tolist() == state.counts.tolist()
        assert room.moves == []


def test_a_wave_counts_arrivals_and_does_without_leavers() -> None:
    """Read one by one, as slices or as many, while the state's own counts stay what they were."""
    problem = limited([0, 1, -1], Limit(LimitKind.SKEW, 0, 0, 0, 9), groups=[[0, 1, 2]])
    state = State(problem)
    room = WaveRoom(state)
    assert room.join(0, 3)
    assert room.join(2, 3)
    many = np.array([[0, 3], [3, 1]])
    for counts, all_of_them in ((room.counts, [1, 1, 0, 2]), (room.floor, [0, 1, 0, 0])):
        assert counts[:4].tolist() == all_of_them
        assert counts[1:4:2].tolist() == all_of_them[1:4:2]
        assert [counts[at] for at in range(4)] == all_of_them
        assert counts[many].tolist() == np.array(all_of_them)[many].tolist()
    assert state.counts[:4].tolist() == [1, 1, 0, 0]


def test_a_change_of_cells_leaves_no_host() -> None:
    """Where nothing may leave a host, items may still take other cells of it."""
    items = Items.of([[0]], cells_needed=1, cell_demand=[[1]], host0=[0], cells0=[[0]])
    hosts = Hosts.of([[1]] * 2, moves_out=[0, -1])
    problem = PlacementProblem.of(hosts, items, cells=Cells.of([0, 0, 1], [[1]] * 3))
    room = WaveRoom(State(problem))
    assert not room.join(0, 1)
    assert room.join(0, 0, problem.items.cells0[0] + 1)
