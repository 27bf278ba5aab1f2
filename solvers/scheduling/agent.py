"""An agent for tasks: read from its file, played on a problem with onnxruntime."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from optsched.budget import Budget
from optsched.kernels import events, views
from optsched.simulate.episodes import Episode
from optsched.simulate.worlds import World
from optsched.solvers import agent_file
from optsched.tasks import Schedule, TaskProblem

TABLES = [views.NODE_WIDE, views.TASK_WIDE]
ENVIRONMENT = "optsched/TaskPlacement-v0"
SHIPPED = "task-placement.onnx"
LOW = -1e8
TRIAL, HOPELESS = 8, 1.2  # decisions that tell how long all take, and how far beyond the budget


@dataclass(frozen=True)
class TaskAgent:
    """A loaded agent.

    Attributes
    ----------
    session
        onnxruntime's, on one thread.
    about
        What the file says of itself.
    """

    session: Any
    about: dict[str, Any]

    def scores(self, nodes: np.ndarray, task: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(B, N + 2) scores of what is allowed, `LOW` elsewhere; higher is better.

        Raises
        ------
        FormatError
            The network cannot read these tables, or answers with something that is no number.
        """
        inputs = {"nodes": nodes, "task": task}
        found: np.ndarray = agent_file.answers(self.session, ["scores"], inputs)["scores"]
        found = np.where(mask, found, LOW)
        agent_file.require_numbers(found)
        return found


def load(path: str | Path | None) -> TaskAgent:
    """Read an agent; without a path, the one that comes with the package.

    Raises
    ------
    OptschedError
        As `agent_file.read`.
    """
    chosen = Path(path) if path is not None else agent_file.shipped(SHIPPED)
    changed = chosen.stat().st_mtime_ns if chosen is not None and chosen.is_file() else 0
    return _read(chosen, changed)


@lru_cache(maxsize=4)
def _read(path: Path | None, changed: int) -> TaskAgent:
    """Read once: rolling windows ask for a new solver some twenty times a second."""
    del changed
    return TaskAgent(*agent_file.read(path, ENVIRONMENT, TABLES))


@dataclass(frozen=True)
class Episodes:
    """Episodes of one problem.

    Attributes
    ----------
    schedules
        One per episode.
    chances
        (I, J) with which the agent of the first episode would have sent each task to each node when
        it was decided on; 0 where it was not asked, or may not go.
    decisions
        Of the first episode; the rest of it, if any, was left to EFT (`whole` is False).
    """

    schedules: list[Schedule]
    chances: np.ndarray
    decisions: int
    whole: bool


def play(
    agent: TaskAgent,
    problem: TaskProblem,
    budget: Budget,
    *,
    times: int = 1,
    seed: int = 0,
    warmth: float = 0.0,
    patient: bool = True,
) -> Episodes:
    """Play some episodes in step; sampled at a temperature, the first always by the best scores.

    Tasks are decided on as they arrive. When the budget is over, EFT decides on the rest. Without
    `patient`, the agent is asked no more once its first decisions show that the budget will not do
    for all.
    """
    world = World.of(problem)
    runs = [Episode(world) for _ in range(times)]
    chances = np.zeros((len(problem.tasks), len(problem.nodes)))
    rng, decisions = np.random.default_rng([seed, 3]), 0
    going = [run for run in runs if run.task >= 0]
    given = budget.remaining()
    while going and not budget.over():
        late = (given - budget.remaining()) * len(problem.tasks) > HOPELESS * given * decisions
        if not patient and decisions >= TRIAL and late:
            break
        table = agent.scores(
            np.stack([run.nodes for run in going]), np.stack([run.facts for run in going]),
            np.stack([run.mask for run in going]),
        )  # fmt: skip
        if going[0] is runs[0]:
            row = table[0] - table[0].max()
            weight = np.exp(row)
            chances[runs[0].task] = np.where(runs[0].mask[:-2], weight[:-2] / weight.sum(), 0)
            decisions += 1
        if warmth:
            free = table / warmth + rng.gumbel(size=table.shape)
            first = int(going[0] is runs[0])
            table[first:] = np.where(table[first:] > LOW, free[first:], LOW)
        for run, action in zip(going, table.argmax(axis=1).tolist(), strict=True):
            run.step(action)
        going = [run for run in going if run.task >= 0]
    whole = not going
    for run in going:
        run.follow()
    return Episodes([schedule_of(run) for run in runs], chances, decisions, whole)


def schedule_of(run: Episode) -> Schedule:
    """What a run did, sent at once where it was."""
    done = run.schedule()
    placed = done.node >= 0
    assert done.sent is not None
    at_once = bool((done.sent == run.world.seen.tasks.arrival)[placed].all())
    return Schedule.of(done.node, done.start) if at_once else done


@lru_cache(maxsize=1)
def warm() -> None:
    """Compile the kernels, or load what was compiled before."""
    from optsched.generate.tasks import tasks as draw

    run = Episode(World.of(draw(0, nodes=3, count=3)))
    run.step(int(run.mask.argmax()))
    run.follow()
    events.until(run.setting, run.live, run.now)
