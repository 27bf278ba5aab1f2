"""Runs as policies see them: an observation for every decision, and what each was worth."""

from __future__ import annotations

import numpy as np

from optsched.arrays import Ints
from optsched.kernels import event_tables as tables
from optsched.kernels import events as kernel
from optsched.kernels import views
from optsched.simulate.online import Online
from optsched.simulate.worlds import World
from optsched.tasks import Goal, Mix, Objective, TaskProblem

GOALS = (Goal.SLA, Goal.RESPONSE, Goal.ENERGY, Goal.LATENESS)  # the kernel's columns
LEVEL = 1000  # how much more a level is worth than the one after it, where one number is needed


class Episode(Online):
    """One run with observations; `step` is the whole of a decision.

    Attributes
    ----------
    nodes, facts, mask
        (N, NODE_WIDE), (TASK_WIDE,) and (N + 2,): live views of what `kernels.views` shows of the
        next decision, padded to N nodes. Actions: a node, N to defer, N + 1 to reject.
    goals
        (4,) the weight of SLA, response, energy and lateness in one number.
    """

    def __init__(self, world: World, order: str = "arrival", most: int = 0) -> None:
        self.most = max(most, len(world.seen.nodes))
        self.goals = scalar(world.seen.objective)
        self.nodes = np.zeros((self.most, views.NODE_WIDE), np.float32)
        self.facts = np.zeros(views.TASK_WIDE, np.float32)
        self.mask = np.zeros(self.most + 2, bool)
        self._out = np.zeros(2, np.int64)
        self._spare: tables.Live | None = None
        super().__init__(world, order)

    def reset(self) -> None:
        """To the first decision."""
        super().reset()
        views.look(self.setting, self.live, self.goals, self.nodes, self.facts, self.mask)

    def step(self, action: int) -> int | None:
        """Act; by how much the weighted sum fell. None: not allowed, and nothing has changed."""
        views.step(
            self.setting, self.live, self.goals, action, self.nodes, self.facts, self.mask,
            self._out,
        )  # fmt: skip
        return None if self._out[1] else int(self._out[0])

    @property
    def value(self) -> int:
        """The weighted sum of what is decided."""
        return int(views.worth(self.setting, self.live, self.goals))

    def foresee(self) -> np.ndarray:
        """(N,) what the weighted sum ends at if EFT goes on; see `kernels.views.foresee`."""
        if self._spare is None:
            self._spare, self._ends = kernel.fresh(self.setting), np.empty(self.most)
        views.foresee(
            self.setting, self.live, self._spare, self.goals, self.nodes, self.mask, self._ends
        )
        return self._ends.copy()

    def follow(self) -> None:
        """Play to the end by earliest finish time."""
        views.follow(self.setting, self.live, True)


def scalar(objective: Objective) -> Ints:
    """(4,) weights of the goals in one number; each level counts `LEVEL` times the next."""
    total = np.zeros(4, np.int64)
    for k in range(len(objective.levels)):
        own = objective.weights(k)
        total = total * LEVEL + np.array([own.get(goal, 0) for goal in GOALS])
    return total


def in_one_sum(objective: Objective) -> Objective:
    """The levels as one weighted sum, each `LEVEL` times the next: what one number can learn."""
    terms = zip(GOALS, scalar(objective).tolist(), strict=True)
    return Objective((Mix(tuple((goal, weight) for goal, weight in terms if weight)),))


def weighed(problem: TaskProblem, late: int = 1) -> TaskProblem:
    """The problem with response, energy and lateness in one sum.

    Energy is as much worth as the response, both in what earliest finish time (EFT) needs of this
    problem, and a millisecond of lateness of weight 1 as much as `late` of response.
    """
    run = Episode(World.of(problem.replace(objective=Objective(GOALS))))
    run.follow()
    _, response, energy, _ = run.values
    rate = max(1, round(energy / max(1, response)))
    terms = ((Goal.RESPONSE, rate), (Goal.ENERGY, 1), (Goal.LATENESS, late * rate))
    return problem.replace(objective=Objective((Mix(terms),)))
