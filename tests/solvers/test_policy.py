"""The agent as a solver: served, bounded in time, checked, and refused where it is no agent."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optsched import api, registry
from optsched.budget import Budget
from optsched.check import check
from optsched.errors import FormatError, UnsupportedError
from optsched.generate.vm import snapshot
from optsched.kernels import layout
from optsched.options import with_max_moves
from optsched.plan import Order
from optsched.result import Result
from optsched.simulate.migration import start
from optsched.simulate.walks import Looks, Walk, Walks
from optsched.solvers import policy_agent
from optsched.solvers.policy import Policy
from optsched.solvers.policy_agent import Agent, load, shipped

LONG = 60.0  # more than any of these solves needs on any machine


def solved(order: Order = Order.SAFE, pms: int = 14, episodes: int = 3, seed: int = 0) -> Result:
    """A small snapshot, solved by the agent that ships."""
    problem = with_max_moves(snapshot(4, pms=pms), 6)
    budget = Budget.of(LONG)
    return Policy(episodes=episodes).solve(problem, budget, seed=seed, order=order)


@pytest.mark.parametrize("order", list(Order))
def test_plans_are_checked_and_better(order: Order) -> None:
    """Whatever the order, the plan keeps the rules and the limit, and improves on staying."""
    problem, result = with_max_moves(snapshot(4, pms=14), 6), solved(order)
    report = check(problem, result.plan)
    assert not report.violations
    assert 0 < len(result.plan.moves()) <= 6
    level = result.levels[0]
    assert level.bound <= level.value < level.stay
    assert report.levels[0] == level.value
    assert result.stats["fallbacks"] == 0
    assert result.stats["episodes"] >= 3


def test_same_seed_same_plan() -> None:
    """With as many episodes and the same seed the plan is the same; more are never worse."""
    assert solved(seed=3).plan == solved(seed=3).plan
    assert solved(episodes=40).levels[0].value <= solved(episodes=1).levels[0].value


def test_no_time_is_a_fallback_that_is_counted() -> None:
    """Where the first episode does not end in time, greedy takes over and is counted."""
    problem = with_max_moves(snapshot(4, pms=40), 10)
    result = Policy().solve(problem, Budget.of(0.0), order=Order.SAFE)
    assert result.stats["fallbacks"] == 1
    assert any("did not end in time; greedy took over" in note for note in result.notes)
    greedy = api.solve(problem, solver="fragments-greedy", time_limit=LONG)
    assert result.levels[0].value <= greedy.levels[0].value < result.levels[0].stay


def test_a_start_is_never_worsened() -> None:
    """A plan to start from is at least kept."""
    problem = with_max_moves(snapshot(4, pms=14), 6)
    best = api.solve(problem, solver="fragments", time_limit=LONG)
    result = Policy(episodes=1).solve(problem, Budget.of(LONG), start=best.plan, order=Order.SAFE)
    assert result.levels[0].value == best.levels[0].value


@pytest.mark.parametrize("pms", [2, 4, 150])
def test_one_agent_for_all_sizes(pms: int) -> None:
    """The same file serves clusters of any size."""
    problem = with_max_moves(snapshot(1, pms=pms), 4)
    result = Policy(episodes=1).solve(problem, Budget.of(LONG), order=Order.SAFE)
    assert not check(problem, result.plan).violations
    assert result.stats["fallbacks"] == 0


def looks(count: int) -> list[Looks]:
    """States of random episodes, in both phases."""
    rng, found = np.random.default_rng(0), []
    for seed in range(count):
        walk = Walk(start(snapshot(seed, pms=4 + 3 * seed, load="middle"), 3))
        while not walk.over:
            found.append(walk.look())
            walk.step(int(rng.choice(np.flatnonzero(walk.mask[:-1]))))
    return found


def agent() -> Agent:
    """The one that ships."""
    path = shipped()
    assert path is not None
    return load(path)


def test_order_does_not_matter() -> None:
    """Scores follow the rows wherever they stand."""
    served, rng = agent(), np.random.default_rng(1)
    for look in looks(4):
        lines, cells = look.groups.shape[1], look.cells.shape[1]
        a, b = rng.permutation(lines), rng.permutation(cells)
        order = np.r_[a, lines, lines + 1 + b]
        mixed = replace(
            look,
            cells=look.cells[:, b],
            bias=look.bias[:, b],
            groups=look.groups[:, a],
            actions=look.actions[:, order],
        )
        legal = mixed.actions >= 0
        expected = served.scores(look)[:, order]
        assert np.allclose(served.scores(mixed)[legal], expected[legal], atol=1e-4)


def test_padding_does_not_matter() -> None:
    """States of several sizes score together as each alone, until the last episode ends."""
    served, rng = agent(), np.random.default_rng(0)
    starts = [start(snapshot(seed, pms=4 + 5 * seed, load="middle"), 4) for seed in range(3)]
    walks, alone = Walks(starts), [Walk(begun) for begun in starts]
    while not walks.over.all():
        together = walks.looks()
        scores = served.scores(together)
        actions = together.best(rng.random(scores.shape).astype(np.float32))
        for n, walk in enumerate(alone):
            if walk.over:
                continue
            look = walk.look()
            own, legal = served.scores(look), look.actions >= 0
            assert np.allclose(scores[n][together.actions[n] >= 0], own[legal], atol=1e-4)
            action = int(actions[n])
            walk.step(action if action < walks.many else action - walks.many + walk.begun.groups)
        walks.step(actions)


def test_no_number_is_a_fallback() -> None:
    """A network that answers with something else is left, and the result says so."""

    class Broken:
        def run(self, names: list[str], inputs: dict[str, Any], options: Any) -> list[np.ndarray]:
            """Nothing but NaN."""
            count, groups = inputs["groups"].shape[:2]
            shapes = {"group": (count, groups), "stop": (count, 1), "cell": inputs["bias"].shape}
            return [np.full(shapes[name], np.nan, np.float32) for name in names]

    problem = with_max_moves(snapshot(4, pms=14), 6)
    solver = Policy()
    solver._agent = Agent(Broken(), {})
    result = solver.solve(problem, Budget.of(LONG), order=Order.SAFE)
    assert result.stats["fallbacks"] == 1
    assert "no number; greedy took over" in result.notes[0]
    assert result.levels[0].value < result.levels[0].stay


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (b'"format": 1', b'"format": 7', "has format 7"),
        (b"VMRescheduling-v0", b"PMRescheduling-v0", "is an agent for"),
        (b'"tables": [13', b'"tables": [14', "reads tables of widths"),
        (b"optsched", b"somebody", "no agent of optsched export"),
        (b"", b"", "a damaged one"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, old: bytes, new: bytes, word: str) -> None:
    """Agents for something else, networks that are none, and damaged files are told apart."""
    path = shipped()
    assert path is not None
    content = path.read_bytes()
    assert old in content
    changed = content.replace(old, new) if old else content[: len(content) // 2]
    (tmp_path / "agent.onnx").write_bytes(changed)
    with pytest.raises(FormatError, match=word):
        load(tmp_path / "agent.onnx")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file is named in one sentence, through the registry too."""
    problem = snapshot(4, pms=3)
    name = f"policy:{tmp_path}/none.onnx"
    with pytest.raises(FormatError, match="cannot be read"):
        api.solve(problem, solver=name, time_limit=1.0)
    assert isinstance(registry.solver(name), Policy)
    with pytest.raises(UnsupportedError, match="no solver"):
        registry.solver(f"greedy:{tmp_path}")


def test_without_an_agent_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without the file refuses, and says how to name one."""
    monkeypatch.setattr(policy_agent, "shipped", lambda: None)
    assert "--solver policy:agent.onnx" in (Policy().supports(snapshot(4, pms=3)) or "")


def test_serving_needs_no_torch() -> None:
    """A solve by the agent imports neither torch nor Gymnasium."""
    code = (
        "import sys\n"
        "from optsched import api\n"
        "from optsched.generate.vm import snapshot\n"
        "api.solve(snapshot(0, pms=3), solver='policy', time_limit=1)\n"
        "print([m for m in ('torch', 'gymnasium', 'stable_baselines3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_shipped_agent_reads_these_tables() -> None:
    """What ships is of this version."""
    about = agent().about
    assert about["tables"] == [layout.CELL_WIDE, layout.GROUP_WIDE, layout.TASK_WIDE]
