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
from optsched.kernels import migration as kernel
from optsched.options import with_max_moves
from optsched.plan import Order
from optsched.result import Result
from optsched.simulate.migration import start
from optsched.simulate.walks import Look, Walk
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


def looks(count: int) -> list[Look]:
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


def test_order_and_padding_do_not_matter() -> None:
    """Scores follow the rows wherever they stand, and do not see what pads the batch."""
    served, rng = agent(), np.random.default_rng(1)
    some = looks(4)
    together = served.scores(some)
    for look, scores in zip(some, together, strict=True):
        assert np.allclose(served.scores([look])[0], scores, atol=1e-4)
        cells, groups = rng.permutation(len(look.cells)), rng.permutation(len(look.groups))
        back = np.argsort(cells)
        mixed = replace(
            look,
            cells=look.cells[cells],
            cells_log=look.cells_log[cells],
            groups=look.groups[groups],
            at=None if look.at is None else back[look.at],
        )
        expected = scores if look.at is not None else np.append(scores[:-1][groups], scores[-1])
        assert np.allclose(served.scores([mixed])[0], expected, atol=1e-4)


def test_equal_rows_may_be_given_once() -> None:
    """The distinct rows with their numbers score as all rows do."""
    served = agent()
    walk = Walk(start(snapshot(2, pms=12), 3))
    for _ in range(2):
        look = walk.look()
        scores = served.scores([look])[0]
        legal = np.flatnonzero(walk.mask)
        many = walk.begun.groups
        every = replace(
            look,
            cells=walk.cells,
            cells_log=np.zeros(len(walk.cells), np.float32),
            groups=walk.groups[legal[legal < many]] if look.at is None else look.groups,
            at=None if look.at is None else legal - many,
        )
        assert np.allclose(served.scores([every])[0], scores[look.alike[legal]], atol=1e-4)
        walk.step(int(legal[0]))


def test_no_number_is_a_fallback() -> None:
    """A network that answers with something else is left, and the result says so."""

    class Broken:
        def run(self, names: list[str], inputs: dict[str, Any]) -> list[np.ndarray]:
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
        (b'"tables": [10', b'"tables": [11', "reads tables of widths"),
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
    assert about["tables"] == [kernel.CELL_WIDE, kernel.GROUP_WIDE, kernel.TASK_WIDE]
