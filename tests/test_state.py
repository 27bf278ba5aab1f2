"""A placement in the making: steps, undo and the choice of cells."""

from __future__ import annotations

import numpy as np
import pytest

from optsched.errors import PlanError
from optsched.plan import Move, Placement, Plan, Wave
from optsched.problem import Cells, Hosts, Inflight, Items, PlacementProblem, When
from optsched.state import State


def gpus() -> PlacementProblem:
    """Three GPUs on one host and one on another; "a" (half a GPU) on GPU 1, "b" (two) pending."""
    items = Items.of(
        [[1], [1]],
        names=["a", "b"],
        cells_needed=[1, 2],
        cell_demand=[[500], [1000]],
        host0=[0, -1],
        cells0=[[1, -1], [-1, -1]],
    )
    cells = Cells.of([0, 0, 0, 1], [[1000]] * 4, resources=("milli-GPU",))
    return PlacementProblem.of(Hosts.of([[4], [4]]), items, cells=cells)


def test_uses_follow_the_items() -> None:
    """Host and cell use are what sits there, with fixed use and moves in flight."""
    items = Items.of([[2], [3]], host0=[1, 0], movable=[False, True])
    problem = PlacementProblem.of(
        Hosts.of([[9], [9]], fixed_use=[[1], [0]]), items, inflight=Inflight.of([0], [0])
    )
    state = State(problem)
    assert state.use.tolist() == [[1 + 2 + 3], [2]]
    state.place(1, -1)
    assert state.use.tolist() == [[3], [2]]
    state.place(1, 1)
    assert state.use.tolist() == [[3], [5]]
    assert state.placement().host.tolist() == [1, 1]


def test_room_is_held_on_rows_that_hold_during_the_plan() -> None:
    """What leaves its host without letting go first is counted there until it is back."""
    items = Items.of([[2, 2], [1, 1]], host0=0, lets_go_first=[False, True])
    problem = PlacementProblem.of(
        Hosts.of([[9, 9]] * 2), items, when=[int(When.DURING), int(When.AFTER)]
    )
    state = State(problem)
    for item in (0, 1):
        state.place(item, 1)
    assert state.gone.tolist() == [[2, 0], [0, 0]]
    state.place(0, 0)
    assert not state.gone.any()


def test_cells_are_chosen_fullest_first_and_home_is_home() -> None:
    """A newcomer takes the fullest cells that fit; who returns sits where it sat."""
    state = State(gpus())
    state.place(1, 0)
    assert state.cells[1].tolist() == [0, 2]
    state.place(0, 1)
    assert state.cells[0].tolist() == [3, -1]
    state.place(0, 0)
    assert state.cells[0].tolist() == [1, -1]
    assert state.cell_use.ravel().tolist() == [1000, 500, 1000, 0]


def test_a_failed_step_changes_nothing() -> None:
    """An item that finds too few cells stays where it is, and there is nothing to undo."""
    state = State(gpus())
    state.place(1, 0)
    with pytest.raises(ValueError, match="'b': the host has 1 cells with room, 2 needed"):
        state.place(1, 1)
    assert state.placement().host.tolist() == [0, 0]
    assert state.mark() == 1
    assert (State(state.problem, state.placement()).cell_use == state.cell_use).all()


def test_undo_goes_back_to_any_mark() -> None:
    """Marks can be returned to one after another."""
    state = State(gpus())
    first = state.mark()
    state.place(0, 1)
    second = state.mark()
    state.place(0, -1)
    state.place(1, 0)
    state.undo(second)
    assert state.host.tolist() == [1, -1]
    state.undo(first)
    assert state.host.tolist() == [0, -1]
    assert state.cells.tolist() == [[1, -1], [-1, -1]]


def test_a_placement_is_a_copy() -> None:
    """Later steps do not change a placement that was taken before; it cannot be written to."""
    state = State(gpus())
    before = state.placement()
    state.place(0, 1)
    assert before.host.tolist() == [0, -1]
    with pytest.raises(ValueError, match="read-only"):
        before.host[0] = 1


def test_placements_name_what_there_is() -> None:
    """Hosts and cells that do not exist are refused; stayers keep their cells by default."""
    problem = gpus()
    assert Placement.of(problem, [0, -1]).cells.tolist() == [[1, -1], [-1, -1]]
    assert Placement.of(problem, [1, -1]).cells.tolist() == [[-1, -1], [-1, -1]]
    with pytest.raises(PlanError, match="a host that the problem does not have"):
        Placement.of(problem, [2, -1])
    with pytest.raises(PlanError, match="a cell that the problem does not have"):
        Placement.of(problem, [0, 0], [[1, -1], [0, 4]])


def test_a_plan_leads_to_a_placement() -> None:
    """The moves of all waves, one after another; unknown items, hosts and cells are refused."""
    problem = gpus()
    waves = Wave((Move(0, 0, 1, (3,)),)), Wave((Move(1, -1, 0, (0, 1)),))
    reached = Plan(problem.digest(), waves=waves).placement(problem)
    assert reached.host.tolist() == [1, 0]
    assert np.array_equal(reached.cells, [[3, -1], [0, 1]])
    for move in (Move(2, -1, 0), Move(0, 0, 2), Move(0, 0, 1, (9,)), Move(0, 0, 1, (1, 2, 3))):
        with pytest.raises(PlanError):
            Plan(problem.digest(), waves=(Wave((move,)),)).placement(problem)
