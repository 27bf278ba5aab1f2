"""The agent that binds pods one by one: served, checked, measured beside rules, and refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optsched import api
from optsched.budget import Budget
from optsched.check import check
from optsched.errors import FormatError, UnsupportedError
from optsched.generate.arrivals import arrivals
from optsched.generate.paper import instance, problem
from optsched.generate.vm import snapshot
from optsched.kernels import layout
from optsched.simulate.arrivals import Arrivals
from optsched.simulate.pod_sight import HOST_WIDE, TASK_WIDE
from optsched.solvers import agent_file, pod_evaluation, policy_pods
from optsched.solvers.pod_rules import best_fit
from optsched.solvers.policy import Policy
from optsched.solvers.policy_pods import PodAgent, load

LONG = 60.0  # more than any of these solves needs on any machine


def test_pods_are_bound_and_checked() -> None:
    """The plan keeps the rules, moves nothing, and places something; the bounds hold."""
    given = arrivals(3, nodes=6)
    result = Policy(episodes=1).solve(given, Budget.of(LONG))
    report = check(given, result.plan)
    assert not report.violations
    assert all(move.source < 0 for move in result.plan.moves())
    assert report.levels == tuple(level.value for level in result.levels)
    assert all(level.bound <= level.value for level in result.levels)
    assert result.stats["fallbacks"] == 0
    assert result.stats["decisions"] == len(given.items)
    assert result.levels[0].value < result.levels[0].stay


def test_same_seed_same_plan_and_more_are_never_worse() -> None:
    """As many episodes with one seed end alike; more of them are at least as good."""
    given = arrivals(5, nodes=8)
    few, again, many = (
        Policy(episodes=count).solve(given, Budget.of(LONG), seed=2) for count in (4, 4, 12)
    )
    assert few.plan == again.plan
    assert [lv.value for lv in many.levels] <= [lv.value for lv in few.levels]


def test_no_time_is_a_fallback_that_is_counted() -> None:
    """Where the first episode does not end in time, greedy takes over and is counted."""
    given = arrivals(5, nodes=8)
    result = Policy().solve(given, Budget.of(0.0))
    assert result.stats["fallbacks"] == 1
    assert any("did not end in time; greedy took over" in note for note in result.notes)
    assert not check(given, result.plan).violations


@pytest.mark.parametrize("nodes", [1, 4, 120])
def test_one_agent_for_all_sizes(nodes: int) -> None:
    """The same file serves clusters of any size."""
    given = problem(instance(1, nodes, 2, 2, 95))
    result = Policy(episodes=1).solve(given, Budget.of(LONG))
    assert not check(given, result.plan).violations
    assert result.stats["fallbacks"] == 0


def test_order_and_padding_do_not_matter() -> None:
    """Scores follow nodes that change places, and rows of zeros are not seen."""
    served, rng = load(None), np.random.default_rng(0)
    pods = Arrivals(arrivals(2, nodes=8))
    while not pods.over:
        hosts, task = pods.see()
        scores = served.scores(hosts[None], task[None])[0]
        order = rng.permutation(len(hosts))
        mixed = served.scores(hosts[order][None], task[None])[0]
        assert np.allclose(mixed, np.append(scores[:-1][order], scores[-1]), atol=1e-4)
        padded = np.concatenate([hosts, np.zeros((5, HOST_WIDE), np.float32)])
        wider = served.scores(padded[None], task[None])[0]
        assert np.allclose(np.append(wider[: len(hosts)], wider[-1]), scores, atol=1e-4)
        pods.step(int(rng.choice(np.flatnonzero(pods.mask))))
    assert len(task) == TASK_WIDE


def test_best_fit_leaves_least() -> None:
    """Of the nodes with room it takes one whose fuller resource has least left."""
    pods, rng = Arrivals(arrivals(4, nodes=6)), np.random.default_rng(0)
    items, hosts = pods.problem.items, pods.problem.hosts
    while not pods.over:
        action, nodes = best_fit(pods, rng), np.flatnonzero(pods.mask[:-1])
        if len(nodes):
            after = pods.state.use[nodes] + items.demand[pods.queue[pods.at]]
            left = ((hosts.capacity[nodes] - after) / hosts.capacity[nodes]).min(axis=1)
            assert left[nodes.tolist().index(action)] == pytest.approx(left.min(), abs=1e-6)
        pods.step(action)


def test_the_measure_compares_tiers() -> None:
    """Every arm is played on the same pods; a share has its interval around it."""
    case = pod_evaluation.Case(nodes=4, ppn=4, priorities=2)
    found = pod_evaluation.measure(None, ["best-fit", "default-scheduler"], range(3), case)
    assert [len(runs) for runs in found.values()] == [3, 3, 3]
    for runs in zip(*found.values(), strict=True):
        assert len({run.pods for run in runs}) == 1
        assert all(a <= b for run in runs for a, b in zip(run.placed, run.pods, strict=True))
    lines = pod_evaluation.rows(found)
    assert [line[0] for line in lines] == ["agent", "best-fit", "default-scheduler"]
    assert pod_evaluation.share([True, True, False, False]).startswith("50.0% (15.0% to 85.0%)")
    with pytest.raises(UnsupportedError, match="rules are best-fit"):
        pod_evaluation.measure(None, ["worst-fit"], range(1), case)


def test_files_for_other_problems_are_refused(tmp_path: Path) -> None:
    """An agent for VMs does not bind pods, nor the other way round; damaged files are told."""
    pods, vms = (agent_file.shipped(name) for name in ("pod-packing.onnx", "vm-rescheduling.onnx"))
    assert pods is not None
    assert vms is not None
    with pytest.raises(FormatError, match="is an agent for 'optsched/VMRescheduling-v0'"):
        load(vms)
    told = Policy(str(pods)).supports(snapshot(0, pms=2))
    assert told is not None
    assert "nothing is pending" in told
    told = Policy(str(vms)).supports(arrivals(0))
    assert told is not None
    broken = tmp_path / "agent.onnx"
    broken.write_bytes(pods.read_bytes()[:5000])
    with pytest.raises(FormatError, match="a damaged one"):
        api.solve(arrivals(0), solver=f"policy:{broken}", time_limit=1.0)


def test_no_number_is_a_fallback() -> None:
    """A network that answers with something else is left, and the result says so."""

    class Broken:
        def run(self, names: list[str], inputs: dict[str, Any], options: Any) -> list[np.ndarray]:
            """Nothing but NaN."""
            count = inputs["hosts"].shape[:2]
            return [np.full(count, np.nan, np.float32), np.full((count[0], 1), np.nan, np.float32)]

    solver = Policy()
    solver._pods = PodAgent(Broken(), {})
    result = solver.solve(arrivals(1), Budget.of(LONG))
    assert result.stats["fallbacks"] == 1
    assert "no number; greedy took over" in result.notes[0]


def test_graphs_that_want_other_tables_are_a_fallback() -> None:
    """A file that lies about its tables is left as soon as it is asked, and greedy takes over."""
    vms = agent_file.shipped("vm-rescheduling.onnx")
    assert vms is not None
    session, about = agent_file.read(
        vms, "optsched/VMRescheduling-v0", [layout.CELL_WIDE, layout.GROUP_WIDE, layout.TASK_WIDE]
    )
    solver = Policy()
    solver._pods = PodAgent(session, about)
    result = solver.solve(arrivals(1), Budget.of(LONG))
    assert result.stats["fallbacks"] == 1
    assert "cannot read what it is shown; greedy took over" in result.notes[0]


def test_gangs_do_not_arrive_one_by_one() -> None:
    """What cannot be bound one by one is refused in one sentence."""
    given = arrivals(0, nodes=2)
    items = replace(given.items, gang=np.zeros(len(given.items), np.int64))
    gangs = given.replace(items=items, gangs=("all",))
    assert "all or none" in (
        Policy(str(agent_file.shipped(policy_pods.SHIPPED))).supports(gangs) or ""
    )
