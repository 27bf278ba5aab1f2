"""Explanations."""

from __future__ import annotations

from optsched.explain import Blocker, explain, why_pending
from optsched.plan import Placement
from optsched.problem import Cells, Hosts, Items, Limit, LimitKind, PlacementProblem, Where

WIDE, HUGE, DNS, WEB = 4, 5, 3, 0


def test_blockers_of_a_pending_item(small_cluster: PlacementProblem) -> None:
    """Every requirement says how many hosts it blocks, alone and in all."""
    found = explain(small_cluster, WIDE)
    assert found.open == ()
    assert found.blockers == (
        Blocker("resource", "cpu", hosts=2, alone=2, demand=2000, most_free=1000),
        Blocker("requirement", "taints", hosts=1, alone=1),
    )


def test_smallest_ways_out(small_cluster: PlacementProblem) -> None:
    """One requirement is enough for each host; none is listed that contains another."""
    ways = explain(small_cluster, WIDE).relaxations
    assert [(way.blockers, way.hosts) for way in ways] == [
        ((("resource", "cpu"),), 2),
        ((("requirement", "taints"),), 1),
    ]
    assert small_cluster.hosts.names[ways[1].example] == "node-3"


def test_ways_out_that_contain_another_are_left_out() -> None:
    """A host blocked by cpu and a taint adds nothing where cpu alone blocks another."""
    hosts = Hosts.of([[1, 9], [1, 9], [9, 1]])
    items = Items.of([[5, 5]])
    where = Where.of(hosts, items, excluded=[[0, 1, 1]], rule_names=("taints",))
    problem = PlacementProblem.of(hosts, items, where=where)
    ways = explain(problem, 0).relaxations
    assert [way.blockers for way in ways] == [
        (("resource", "r0"),),
        (("requirement", "taints"), ("resource", "r1")),
    ]


def test_empty_hosts(small_cluster: PlacementProblem) -> None:
    """Hosts that are too small even when empty are told from those that are full."""
    found = explain(small_cluster, HUGE)
    assert all(not kind.fits for kind in found.empty)
    assert [(kind.hosts, kind.short) for kind in found.empty] == [(2, ("cpu",)), (1, ("cpu",))]
    roomy = explain(small_cluster, WIDE).empty
    assert [(kind.hosts, kind.eligible, kind.fits) for kind in roomy] == [
        (2, True, True),
        (1, False, False),
    ]


def test_empty_hosts_hold_what_runs_everywhere() -> None:
    """A daemon's room counts on an empty host, other items' room does not."""
    hosts = Hosts.of([[10]])
    items = Items.of([[3], [5], [8]], host0=[0, 0, -1], occupies=[False, True, True])
    problem = PlacementProblem.of(hosts, items)
    assert explain(problem, 2).empty[0].short == ("r0",)


def test_empty_hosts_need_cells() -> None:
    """A host without enough GPUs is too small even when empty."""
    cells = Cells.of([0], [[1000]], resources=["gpu"])
    items = Items.of([[1]], cells_needed=[2], cell_demand=[[1000]])
    problem = PlacementProblem.of(Hosts.of([[10]]), items, cells=cells)
    found = explain(problem, 0)
    assert found.empty[0].short == ("cells",)
    assert ("cells", "free cells") in [(one.kind, one.name) for one in found.blockers]


def test_a_running_item(small_cluster: PlacementProblem) -> None:
    """Of a running item its own host is not among those that are open or blocked."""
    found = explain(small_cluster, WEB)
    assert (found.before, found.host, found.pinned) == (0, 0, "")
    assert found.open == ()
    assert sum(one.hosts for one in found.blockers) == 2


def test_a_pinned_item(small_cluster: PlacementProblem) -> None:
    """A pinned item says why."""
    assert explain(small_cluster, DNS).pinned == "in the namespace kube-system"


def test_after_a_plan(small_cluster: PlacementProblem) -> None:
    """In another placement other hosts are open."""
    after = Placement.of(small_cluster, [0, 1, 1, 1, -1, -1])
    found = explain(small_cluster, WIDE, after)
    assert found.open == (0,)
    assert found.relaxations == ()


def test_limits_are_named() -> None:
    """A limit that blocks is called by its name."""
    hosts = Hosts.of([[9], [9]])
    items = Items.of([[1], [1], [1]], host0=[0, 1, -1])
    where = Where.of(hosts, items, groups=[[0, 1, 2]])
    limit = Limit(LimitKind.MAX, key=0, subject=0, counted=0, bound=1, name="host port 80")
    problem = PlacementProblem.of(hosts, items, where=where, limits=[limit])
    assert explain(problem, 2).blockers == (Blocker("limit", "host port 80", 2, 2),)


def test_why_pending(small_cluster: PlacementProblem) -> None:
    """Every item without a host has its blockers, the same as one by one."""
    reasons = why_pending(small_cluster, Placement.current(small_cluster))
    assert set(reasons) == {WIDE, HUGE}
    for item, blockers in reasons.items():
        assert blockers == explain(small_cluster, item).blockers


def test_why_pending_with_an_open_host(small_cluster: PlacementProblem) -> None:
    """An item that could enter a host has no blockers to show."""
    after = Placement.of(small_cluster, [0, 1, 1, 1, -1, -1])
    assert why_pending(small_cluster, after)[WIDE] == ()


def test_reasons_are_about_other_hosts() -> None:
    """What rules out only the host that an item sits on is no reason why it stays."""
    items = Items.of([[3]], host0=[0])
    problem = PlacementProblem.of(Hosts.of([[4], [2]], drain=[True, False]), items)
    assert [(one.kind, one.hosts) for one in explain(problem, 0).blockers] == [("resource", 1)]
