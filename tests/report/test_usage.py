"""How full hosts are before and after."""

from __future__ import annotations

from optsched.plan import Placement
from optsched.problem import Cells, Hosts, Items, PlacementProblem
from optsched.report.usage import usage
from optsched.result import Result


def test_parts_add_up(small_cluster: PlacementProblem, answer: Result) -> None:
    """What stays, leaves, arrives and was pending is told apart on every host."""
    use = usage(small_cluster, answer.plan.placement(small_cluster))
    cpu = use.names.index("cpu")
    assert use.stay[:, cpu].tolist() == [2000, 2500, 0]
    assert use.leave[:, cpu].tolist() == [1000, 0, 0]
    assert use.arrive[:, cpu].tolist() == [0, 1000, 0]
    assert use.placed[:, cpu].tolist() == [2000, 0, 0]
    assert use.before()[:, cpu].tolist() == [3000, 3000, 0]
    assert use.after()[:, cpu].tolist() == [4000, 4000, 0]
    assert use.count.tolist() == [[1, 1, 0, 1], [2, 0, 1, 0], [0, 0, 0, 0]]
    assert use.changed.tolist() == [True, True, False]


def test_cells_are_summed_per_host() -> None:
    """GPUs appear as one more resource of their host; swapping them is a change."""
    cells = Cells.of([0, 0], [[1000], [1000]], fixed_use=[[0], [100]], resources=["gpu_milli"])
    items = Items.of([[0]], host0=[0], cells_needed=[1], cell_demand=[[300]], cells0=[[0]])
    problem = PlacementProblem.of(Hosts.of([[1], [1]]), items, cells=cells)
    use = usage(problem, Placement.of(problem, [0], [[1]]))
    assert use.names == ("gpu_milli",)
    assert use.capacity.tolist() == [[2000], [0]]
    assert use.after().tolist() == [[400], [0]]
    assert use.changed.tolist() == [True, False]


def test_only_scarce_resources_are_shown() -> None:
    """Of many resources the fullest are shown, in their own order, and two in any case."""
    capacity, demand = [[10, 100, 5, 5, 5, 5]], [[1, 1, 2, 3, 4, 0]]
    problem = PlacementProblem.of(Hosts.of(capacity), Items.of(demand))
    assert usage(problem, Placement.current(problem)).names == ("r2", "r3", "r4")
    plenty = PlacementProblem.of(Hosts.of([[100, 100, 100]]), Items.of([[1, 3, 2]]))
    assert usage(plenty, Placement.current(plenty)).names == ("r1", "r2")
