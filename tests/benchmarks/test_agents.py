"""What agents are measured against is what it is said to be, and tables hold what was measured."""

from __future__ import annotations

import numpy as np

from benchmarks.agents import pods
from benchmarks.agents.chance import Chance
from benchmarks.agents.vms import MARGIN, Arm, margins, paired, table, warm_start
from benchmarks.pod_packing.default_scheduler import Cluster
from optsched import registry
from optsched.envs.seeds import seeds
from optsched.generate.paper import instance, problem
from optsched.simulate.arrivals import Arrivals
from optsched.solvers import pod_evaluation, policy_agent
from optsched.solvers.evaluation import Case
from optsched.solvers.fragments.exchange import Fragments
from optsched.solvers.pod_rules import RULES, default_scheduler, default_scores
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
    told = {"untrained, one episode": "80.00%", "chance, one episode": "20.00%"}
    lines = [["", name, mean] for name, mean in told.items()]
    lines += [["", "agent, one episode", "10.00%"], ["", "fragments-greedy", "30.00%"]]
    assert [line[-1] for line in margins(lines)] == ["yes", "NO", "yes"]
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


def test_the_agent_that_ships_beats_greedy_and_chance() -> None:
    """On three held-out snapshots like the paper's it leaves less than half of their gaps."""
    arms = [
        Arm("agent, one episode", Policy(episodes=1), 600.0),
        Arm("chance, one episode", Chance(), 600.0),
        Arm("fragments-greedy", registry.solver("fragments-greedy"), 600.0),
    ]
    lines = table("high", Case(), seeds("heldout")[:3], arms)
    own, chance, greedy = (float(str(line[2]).rstrip("%")) for line in lines)
    assert own < MARGIN * min(chance, greedy)
    assert [line[-1] for line in lines] == [0, 0, 0]
    assert chance > 50


def test_the_agent_for_pods_that_ships_beats_rules_and_chance() -> None:
    """On forty held-out instances it is better three times as often as it is worse."""
    found = pod_evaluation.measure(
        None, list(RULES), seeds("heldout")[:40], pod_evaluation.Case(nodes=16)
    )
    lines = pods.margins(found)
    assert [line[0] for line in lines] == list(RULES)
    assert [line[-1] for line in lines] == ["yes"] * 3
    swapped = pods.margins({"agent": found["chance"], "the agent": found["agent"]})
    assert [line[-1] for line in swapped] == ["NO"]
