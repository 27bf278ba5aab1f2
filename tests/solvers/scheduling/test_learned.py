"""The agent alone, and the ants that it leads."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from optsched import registry
from optsched.budget import Budget
from optsched.errors import FormatError
from optsched.generate.tasks import tasks as draw
from optsched.kernels import views, warm_schedules
from optsched.simulate import World, roll
from optsched.simulate.episodes import weighed
from optsched.solvers.agent_file import FORMAT, KEY
from optsched.solvers.scheduling.agent import ENVIRONMENT, TABLES, TaskAgent, load, play
from optsched.solvers.scheduling.learned import FLOOR, Hybrid, Policy, belief
from optsched.solvers.scheduling.rules import RULES
from optsched.tasks import Schedule, TaskProblem, check_schedule, evaluate


class Greedy:
    """A session that answers as EFT, or with what it is told."""

    def __init__(self, fault: float | None = None) -> None:
        self.fault, self.asked = fault, 0

    def run(
        self, names: list[str], inputs: dict[str, np.ndarray], options: Any = None
    ) -> list[np.ndarray]:
        """Scores."""
        assert names == ["scores"]
        self.asked += 1
        nodes = inputs["nodes"]
        assert nodes.shape[2] == views.NODE_WIDE
        scores = np.full((len(nodes), nodes.shape[1] + 2), -1e3, np.float32)
        scores[:, :-2] = -20 * nodes[..., views.EFT]
        return [scores if self.fault is None else np.full_like(scores, self.fault)]


def agent(fault: float | None = None) -> TaskAgent:
    """One that needs no file."""
    return TaskAgent(Greedy(fault), {})


def test_an_agent_that_will_not_end_in_time_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its first decisions tell; what leads ants gives them the rest of the time."""
    now = [0.0]

    class Slow(Greedy):
        def run(self, *words: Any) -> list[np.ndarray]:
            now[0] += 0.01
            return super().run(*words)

    monkeypatch.setattr("optsched.budget.time", SimpleNamespace(monotonic=lambda: now[0]))
    problem = weighed(draw(0, nodes=5, count=40))
    for seconds, patient, decisions in ((0.2, False, 8), (0.2, True, 20), (0.39, False, 39)):
        played = play(TaskAgent(Slow(), {}), problem, Budget.of(seconds), patient=patient)
        assert abs(played.decisions - decisions) <= 1
        assert not played.whole
        assert evaluate(problem, played.schedules[0]).violations == ()


@pytest.mark.parametrize("seed", range(3))
def test_an_agent_that_knows_eft_is_eft(seed: int) -> None:
    """The same schedule, and chances only where a task may go."""
    problem = weighed(draw(seed, nodes=5, count=40, load=1.2))
    played = play(agent(), problem, Budget.of(100))
    planned = RULES["eft"](problem, 0)
    assert played.whole
    assert played.decisions == 40
    assert played.schedules[0].start.tolist() == planned.start.tolist()
    assert (played.chances.sum(axis=1) <= 1 + 1e-6).all()
    assert not played.chances[~problem.fits].any()


def test_without_time_eft_ends_the_episode() -> None:
    """And that is told."""
    problem = weighed(draw(0, nodes=5, count=40))
    played = play(agent(), problem, Budget.of(0))
    assert (played.whole, played.decisions) == (False, 0)
    assert played.schedules[0].start.tolist() == RULES["eft"](problem, 0).start.tolist()
    solver = Policy()
    solver._agent = agent()
    assert solver.solve(problem, Budget.of(0)).stats["fallbacks"] == 1


@pytest.mark.parametrize("seed", range(4))
def test_the_hybrid_is_never_worse_than_rules_and_agent(seed: int) -> None:
    """Under the plan's own model, and both readings accept it."""
    problem = weighed(draw(seed, nodes=5, count=30, load=1.2, burst=seed % 2 == 0))
    solver = Hybrid()
    solver._agent = agent()
    solver.supports(problem)  # compiles
    warm_schedules()
    found = solver.solve(problem, Budget.of(1.0), seed=seed)
    value = evaluate(problem, found.schedule).levels
    for name in ("eft", "energy", "edf", "wspt", "heft"):
        assert value <= evaluate(problem, RULES[name](problem, 0)).levels
    first = play(agent(), problem, Budget.of(100)).schedules[0]
    assert value <= evaluate(problem, first).levels
    assert check_schedule(problem, found.schedule).faults == ()
    assert found.stats["fallbacks"] == 0


def test_windows_led_by_an_agent() -> None:
    """In rolling windows, around what runs, every plan is allowed and every task is run."""
    problem = weighed(draw(4, nodes=5, count=20, load=1.5, burst=True))
    taken = list[int]()

    def decide(window: TaskProblem) -> Schedule:
        taken.append(len(window.taken))
        solver = Hybrid()
        solver._agent = agent()
        found = solver.solve(window, Budget.of(0.02))
        assert check_schedule(window, found.schedule).faults == ()
        return found.schedule

    played = roll(World.of(problem), decide, window=100)
    assert max(taken) > 2
    assert played.evaluation.violations == ()
    assert not (played.evaluation.rejected & ~problem.tasks.hard).any()


def test_more_episodes_are_no_worse() -> None:
    """The best of some is at least as good as the first."""
    problem = weighed(draw(2, nodes=6, count=40, load=1.3))
    one, many = Policy(episodes=1), Policy(episodes=17)
    one._agent = many._agent = agent()
    first = one.solve(problem, Budget.of(100))
    best = many.solve(problem, Budget.of(100))
    assert best.stats["episodes"] == 17
    assert evaluate(problem, best.schedule).levels <= evaluate(problem, first.schedule).levels


def test_a_broken_agent_does_not_stop_the_hybrid() -> None:
    """It answers with no number; ants and rules go on, and it is counted."""
    problem = weighed(draw(0, nodes=5, count=20))
    solver = Hybrid()
    solver._agent = agent(np.nan)
    assert solver.solve(problem, Budget.of(0.1)).stats["fallbacks"] == 1
    with pytest.raises(FormatError, match="no number"):
        play(agent(np.nan), problem, Budget.of(10))


def test_what_ants_think() -> None:
    """At least a little of every node, and nothing of tasks that were not asked about."""
    found = belief(np.array([[0.9, 0.1, 0.0], [0.0, 0.0, 0.0]]))
    assert found.tolist() == [[0.9, 0.1, FLOOR], [1.0, 1.0, 1.0]]


def test_names_and_files(tmp_path: Path) -> None:
    """By name, with a file of one's own; another file is refused."""
    assert registry.task_solver("policy:a.onnx").path == "a.onnx"
    assert registry.task_solver("hybrid").path is None
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(json.dumps({KEY: FORMAT, "environment": ENVIRONMENT, "t": TABLES}).encode())
    with pytest.raises(FormatError, match=r"wrong\.onnx"):
        load(wrong)
    with pytest.raises(FormatError):
        Hybrid(str(wrong)).supports(draw(0, nodes=3, count=3))


def test_a_network_that_cannot_read_its_tables() -> None:
    """Whatever onnxruntime raises, it is told as a fault of the file."""

    class Odd:
        def run(self, *_: object) -> None:
            raise RuntimeError("INVALID_ARGUMENT")

    with pytest.raises(FormatError, match="cannot read what it is shown"):
        play(TaskAgent(Odd(), {}), weighed(draw(0, nodes=5, count=20)), Budget.of(10))
