"""`optsched/PodPacking-v0`: pods arrive one by one and are bound to nodes for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, SupportsInt

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from optsched.arrays import Bools
from optsched.envs.actions import one
from optsched.envs.drawing import BLOCK, EMPTY, FRAGMENT, GAP, USED, Picture
from optsched.envs.pool import Pool
from optsched.errors import InputError
from optsched.generate.paper import instance
from optsched.generate.paper import problem as paper_problem
from optsched.levels import TermKind
from optsched.objective import evaluate, scalar, scalar_weights
from optsched.plan import Plan
from optsched.problem import PlacementProblem
from optsched.simulate.arrivals import Arrivals, unfit
from optsched.simulate.pod_sight import HOST_WIDE, TASK_WIDE

USAGES = (90, 95, 100, 105)  # of the published grid; one is drawn for every instance
PATIENCE = 100  # illegal actions before an episode is cut short
_LARGEST = 1 << 53
_BAR, _HIGH = 12, 48


def drawn(seed: int, nodes: int, ppn: int, priorities: int, usage: int | None) -> PlacementProblem:
    """The instance of a seed; without a usage, one of the published grid."""
    rate = usage if usage is not None else USAGES[seed % len(USAGES)]
    return paper_problem(instance(seed, nodes, ppn, priorities, rate))


class PodPacking(gym.Env[Any, Any]):
    """Bind arriving pods to nodes so that the most, and of the highest tiers the most, run.

    Pods arrive in the order of the problem's pending items; what is bound stays. A pod may also be
    left pending, to keep room for others.

    Observation
        `hosts` (H, 8) and `task` (16,), float32 in [0, 1]; the columns are those of
        `optsched.simulate.pod_sight`.
    Action
        Discrete(H + 1): a node, or H to leave the pod pending. `action_masks()` says which are
        allowed: exactly `optsched.rules.candidates`, and always H. Others change nothing
        (`info["illegal"]`); after 100 of them the episode is truncated.
    Reward
        How much the scalarised objective fell, times `reward_scale`.
    Termination
        When every pod was looked at.
    Info
        `levels`: the lexicographic values; `placed`: pods per tier that run; `seed`.

    Parameters
    ----------
    problem
        The one instance; without it they are drawn.
    nodes, ppn, priorities, usage
        Of the published generator (`optsched.generate.paper`); without a usage, one of 90 to 105 %
        is drawn.
    source
        From a seed to a problem, in place of that generator; `nodes` then says for how many at
        most.
    weights
        One per level of the objective; by default such that the sum orders placements as the levels
        do.
    split, instances
        Of the seeds, see `Pool`.
    """

    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}  # noqa: RUF012 - Gymnasium

    def __init__(
        self,
        *,
        problem: PlacementProblem | None = None,
        nodes: int = 8,
        ppn: int = 4,
        priorities: int = 4,
        usage: int | None = None,
        source: Callable[[int], PlacementProblem] | None = None,
        weights: Sequence[int] | None = None,
        split: str = "train",
        instances: int = 0,
        reward_scale: float = 1.0,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise InputError(f"render mode {render_mode!r}: give 'ansi' or 'rgb_array'")

        def make(seed: int) -> PlacementProblem:
            return drawn(seed, nodes, ppn, priorities, usage)

        self.pool = Pool(source or make, split, instances)
        self._fixed, self._weights = problem, weights
        if problem is not None:
            nodes = len(problem.hosts)
        self.nodes, self.reward_scale, self.render_mode = nodes, reward_scale, render_mode
        box = {"hosts": (nodes, HOST_WIDE), "task": (TASK_WIDE,)}
        self.observation_space = spaces.Dict(
            {name: spaces.Box(0.0, 1.0, shape, np.float32) for name, shape in box.items()}
        )
        self.action_space = spaces.Discrete(nodes + 1)
        self._pods: Arrivals | None = None
        if problem is not None:
            self._check(problem)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin an episode; options: "problem", or the seed of an "instance"."""
        super().reset(seed=seed)
        wishes = dict(options or {})
        problem, chosen = wishes.pop("problem", None), wishes.pop("instance", None)
        if wishes:
            raise InputError(f"reset knows no option {next(iter(wishes))!r}")
        self._seed = -1
        if problem is None and chosen is not None:
            self._seed, problem = int(chosen), self.pool.get(int(chosen))
        elif problem is None and self._fixed is not None:
            problem = self._fixed
        elif problem is None:
            self._seed, problem = self.pool.draw(self.np_random)
        self._check(problem)
        self.problem = problem
        self._pods, self._refused = Arrivals(problem, self.nodes), 0
        self._scale = self._weigh(problem)
        self._levels = evaluate(problem, self._pods.state.placement())
        return self._seen(), self._info(False)

    def step(
        self, action: SupportsInt
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Bind the pod, or leave it.

        Raises
        ------
        InputError
            The action is no whole number, or there was no reset.
        """
        pods, chosen = self._begun(), one(action)
        legal = 0 <= chosen <= self.nodes and bool(pods.mask[chosen])
        before = self._levels
        if legal:
            pods.step(chosen)
            if chosen < self.nodes:
                self._levels = evaluate(self.problem, pods.state.placement())
        else:
            self._refused += 1
        gain = scalar(before, self._scale) - scalar(self._levels, self._scale)
        cut = self._refused >= PATIENCE
        return self._seen(), gain * self.reward_scale, pods.over, cut, self._info(not legal)

    def action_masks(self) -> Bools:
        """(H + 1,) bool: what is allowed now."""
        return self._begun().mask.copy()

    def plan(self) -> Plan:
        """The bindings so far, one wave each."""
        return self._begun().plan()

    def render(self) -> str | Picture | None:
        """Words ("ansi"), or bars of every node and resource (H, W, 3) uint8 ("rgb_array")."""
        pods = self._begun()
        if self.render_mode == "ansi":
            placed = ", ".join(
                f"{name} {count}"
                for name, count in zip(self.problem.tiers, pods.placed(), strict=True)
            )
            return (
                f"{self.problem.name}: pod {pods.at} of {len(pods.queue)}, {pods.left} left "
                f"pending; running: {placed}\n"
            )
        if self.render_mode != "rgb_array":
            return None
        share = pods.state.use / np.maximum(self.problem.hosts.capacity, 1)
        picture = np.full((_HIGH + 2 * GAP, share.size * (_BAR + GAP) + GAP, 3), EMPTY, np.uint8)
        for at, used in enumerate(share.ravel().tolist()):
            left, deep = GAP + at * (_BAR + GAP), round(_HIGH * min(used, 1.0))
            picture[GAP : GAP + _HIGH, left : left + _BAR] = BLOCK
            colour = USED if used <= 1 else FRAGMENT
            picture[GAP + _HIGH - deep : GAP + _HIGH, left : left + _BAR] = colour
        return picture

    def _check(self, problem: PlacementProblem) -> None:
        """Refuse what this environment cannot be played on."""
        told, reason = problem.name[:80], unfit(problem)
        if reason is not None:
            raise InputError(f"{told!r}: {reason}")
        if len(problem.hosts) > self.nodes:
            raise InputError(
                f"{told!r} has {len(problem.hosts)} nodes, the environment is made for "
                f"{self.nodes}; make it with more"
            )
        self._weigh(problem)

    def _weigh(self, problem: PlacementProblem) -> tuple[int, ...]:
        """A weight per level; those that binding cannot change have none."""
        if self._weights is not None:
            if len(self._weights) != len(problem.objective):
                raise InputError(
                    f"{len(self._weights)} weights for {len(problem.objective)} levels; give one "
                    "for each"
                )
            return tuple(int(weight) for weight in self._weights)
        fixed = (TermKind.EVICTED, TermKind.MOVED, TermKind.DRAINED)
        changing = [
            any(term.kind not in fixed for term in level.terms) for level in problem.objective
        ]
        some = tuple(lv for lv, yes in zip(problem.objective, changing, strict=True) if yes)
        given = iter(scalar_weights(problem.replace(objective=some)))
        found = tuple(next(given) if yes else 0 for yes in changing)
        if max(found, default=0) > _LARGEST:
            raise InputError(
                f"{problem.name[:80]!r}: the levels outgrow a single number; give weights"
            )
        return found

    def _begun(self) -> Arrivals:
        if self._pods is None:
            raise InputError("call reset before anything else")
        return self._pods

    def _seen(self) -> dict[str, np.ndarray]:
        hosts, task = self._begun().see()
        return {"hosts": hosts, "task": task}

    def _info(self, illegal: bool) -> dict[str, Any]:
        return {
            "levels": self._levels,
            "placed": self._begun().placed(),
            "seed": self._seed,
            "illegal": illegal,
        }
