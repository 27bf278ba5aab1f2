"""What agents are measured against is what it is said to be, and tables hold what was measured."""

from __future__ import annotations

import numpy as np

from benchmarks.agents.vms import Arm, paired, table, warm_start
from benchmarks.pod_packing.default_scheduler import Cluster
from optsched.generate.paper import instance, problem
from optsched.simulate.arrivals import Arrivals
from optsched.solvers import policy_agent
from optsched.solvers.evaluation import Case
from optsched.solvers.fragments.exchange import Fragments
from optsched.solvers.pod_rules import default_scheduler, default_scores
from optsched.solvers.policy import Policy


def test_the_rule_is_the_emulated_scheduler() -> None:
    """Scores of the default scheduler's rule are those of its emulation, pod by pod."""
    rng = np.random.default_rng(0)
    for seed in range(6):
        drawn = instance(seed, 5, 5, 2, 95)
        pods, cluster = Arrivals(problem(drawn)), Cluster.of(drawn)
        while not pods.over:
            nodes, pod = np.flatnonzero(pods.mask[:-1]), pods.at
            assert nodes.tolist() == cluster.feasible(pod).tolist()
            if len(nodes):
                own, theirs = default_scores(pods, nodes), cluster.scores(pod, nodes)
                assert own.tolist() == theirs.tolist()
            action = default_scheduler(pods, rng)
            if action < pods.nodes:
                assert own[nodes.tolist().index(action)] == own.max()
                cluster.bind(pod, action)
            pods.step(action)


def test_the_optimum_has_no_gap_and_an_agent_has_one_with_itself_of_zero() -> None:
    """Lines of the table, and the difference between an agent and itself, on the same instances."""
    case, own = Case(pms=10, moves=4), range(3, 6)
    arms = [
        Arm("agent", Policy(episodes=1), 60.0),
        Arm("many", Policy(episodes=9), 60.0),
        Arm("fragments", Fragments(), 60.0),
    ]
    agent, many, best = table("small", case, own, arms)
    assert [line[:2] for line in (agent, many, best)] == [
        ["small", "agent"], ["small", "many"], ["small", "fragments"],
    ]  # fmt: skip
    assert best[2] == "0.00%"
    assert (agent[6], many[6], best[6]) == ("1", "9", "")
    assert (agent[7], many[7]) == (0, 0)
    file = str(policy_agent.shipped())
    line = paired(file, file, own, 3, {"small": case}).splitlines()[-1]
    assert "| +0.00% | +0.00% to +0.00% |" in line


def test_a_start_that_cannot_be_bettered_is_kept() -> None:
    """A solver that is started from the agent's plan ends no worse than that plan."""
    started = [("small", Case(pms=10, moves=4), name, 30.0) for name in ("fragments", "portfolio")]
    for line in warm_start(None, range(3, 5), started).splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells[0] == "small"
        assert cells[3:] == ["0.00%", "0.00%", "2 of 2", "2 of 2"]
