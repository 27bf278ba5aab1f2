"""Pods bound one by one by an agent: the first episode by its best choices, the others sampled."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optsched.budget import Budget
from optsched.objective import evaluate
from optsched.plan import Placement
from optsched.problem import PlacementProblem
from optsched.simulate.arrivals import Arrivals
from optsched.simulate.pod_sight import HOST_WIDE, TASK_WIDE
from optsched.solvers import agent_file

ENVIRONMENT, TABLES = "optsched/PodPacking-v0", [HOST_WIDE, TASK_WIDE]
SHIPPED = "pod-packing.onnx"
TEMPERATURE = 0.5  # of sampled choices


@dataclass(frozen=True)
class PodAgent:
    """A loaded agent: onnxruntime's session, and what the file says of itself."""

    session: Any
    about: dict[str, Any]

    def scores(self, hosts: np.ndarray, task: np.ndarray) -> np.ndarray:
        """(N, H + 1) of nodes and of leaving, from (N, H, HOST_WIDE) and (N, TASK_WIDE).

        Raises
        ------
        FormatError
            The network answers with something that is no number.
        """
        inputs = {"hosts": hosts, "task": task}
        found = agent_file.answers(self.session, ["host", "leave"], inputs)
        scores = np.concatenate([found["host"], found["leave"]], axis=1)
        agent_file.require_numbers(scores)
        return scores


def load(path: str | Path | None) -> PodAgent:
    """Read an agent; without a path, the one that comes with the package.

    Raises
    ------
    OptschedError
        As `agent_file.read`.
    """
    chosen = Path(path) if path is not None else agent_file.shipped(SHIPPED)
    return PodAgent(*agent_file.read(chosen, ENVIRONMENT, TABLES))


@dataclass
class Bound:
    """What came of the episodes: the best placement, and as in `policy_rollouts.Played`."""

    placement: Placement
    whole: bool = False
    episodes: int = 0
    decisions: int = 0
    seconds: float = 0.0


def bind(agent: PodAgent, problem: PlacementProblem, budget: Budget, seed: int, most: int) -> Bound:
    """Play up to `most` episodes within the budget; the best placement by all levels."""
    rng, started = np.random.default_rng(seed), time.monotonic()
    found = Bound(Placement.current(problem))
    best: tuple[int, ...] | None = None
    while found.episodes < most and not (found.whole and budget.over()):
        pods = Arrivals(problem)
        while not pods.over and not budget.over():
            hosts, task = pods.see()
            scores = agent.scores(hosts[None], task[None])[0]
            if found.whole:
                scores = scores + TEMPERATURE * rng.gumbel(size=len(scores))
            pods.step(int(np.where(pods.mask, scores, -np.inf).argmax()))
            found.decisions += 1
        value = evaluate(problem, pods.state.placement())
        if best is None or value < best:
            best, found.placement = value, pods.state.placement()
        if not pods.over:
            return found
        if not found.whole:
            found.whole, found.seconds = True, time.monotonic() - started
        found.episodes += 1
        if not found.decisions:
            break  # nothing waits: all episodes are this one
    return found
