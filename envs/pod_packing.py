"""`optsched/PodPacking-v0`: pods arrive one by one and are bound to nodes for good."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, SupportsInt

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from optsched.arrays import Bools
from optsched.envs.drawing import BLOCK, EMPTY, FRAGMENT, GAP, USED, Picture
from optsched.envs.pod_sight import HOST_WIDE, TASK_WIDE, Scene
from optsched.envs.pool import Pool
from optsched.errors import InputError
from optsched.generate.paper import instance
from optsched.generate.paper import problem as paper_problem
from optsched.levels import TermKind
from optsched.objective import evaluate, scalar, scalar_weights
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import PlacementProblem
from optsched.rules import candidates
from optsched.state import State

USAGES = (90, 95, 100, 105)  # of the published grid; one is drawn for every instance
PATIENCE = 100  # illegal actions before an episode is cut short
_LARGEST = 1 << 53
_BAR, _HIGH = 12, 48


class PodPacking(gym.Env[Any, Any]):
    """Bind arriving pods to nodes so that the most, and of the highest tiers the most, run.

    Pods arrive in the order of the problem's pending items; what is bound stays. A pod may also be
    left pending, to keep room for others.

    Observation
        `hosts` (H, 8) and `task` (16,), float32 in [0, 1]; the columns are those of
        `optsched.envs.pod_sight`.
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

        def drawn(seed: int) -> PlacementProblem:
            rate = usage if usage is not None else USAGES[seed % len(USAGES)]
            return paper_problem(instance(seed, nodes, ppn, priorities, rate))

        self.pool = Pool(source or drawn, split, instances)
        self._fixed, self._weights = problem, weights
        if problem is not None:
            nodes = len(problem.hosts)
        self.nodes, self.reward_scale, self.render_mode = nodes, reward_scale, render_mode
        box = {"hosts": (nodes, HOST_WIDE), "task": (TASK_WIDE,)}
        self.observation_space = spaces.Dict(
            {name: spaces.Box(0.0, 1.0, shape, np.float32) for name, shape in box.items()}
        )
        self.action_space = spaces.Discrete(nodes + 1)
        self._state: State | None = None
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
        self._state = State(problem)
        self._queue = np.flatnonzero(problem.items.host0 < 0)
        self._at = self._left = self._refused = 0
        self._scale = self._weigh(problem)
        self._levels = evaluate(problem, self._state.placement())
        self._look()
        return self._seen(), self._info(False)

    def step(
        self, action: SupportsInt
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Bind the pod, or leave it."""
        state = self._begun()
        chosen = int(action)
        legal = 0 <= chosen <= self.nodes and bool(self._mask[chosen])
        before = self._levels
        if not legal:
            self._refused += 1
        else:
            if chosen < self.nodes:
                state.place(int(self._queue[self._at]), chosen)
                self._levels = evaluate(self.problem, state.placement())
            else:
                self._left += 1
            self._at += 1
            self._look()
        gain = scalar(before, self._scale) - scalar(self._levels, self._scale)
        over, cut = self._at >= len(self._queue), self._refused >= PATIENCE
        return self._seen(), gain * self.reward_scale, over, cut, self._info(not legal)

    def action_masks(self) -> Bools:
        """(H + 1,) bool: what is allowed now."""
        self._begun()
        return self._mask.copy()

    def plan(self) -> Plan:
        """The bindings so far, one wave each."""
        state = self._begun()
        waves = []
        for item in self._queue[: self._at].tolist():
            host, own = int(state.host[item]), state.cells[item]
            if host >= 0:
                cells = tuple(own[own >= 0].tolist())
                waves.append(Wave((Move(item, -1, host, cells),)))
        return Plan(self.problem.digest(), Order.WAVES, tuple(waves))

    def render(self) -> str | Picture | None:
        """Words ("ansi"), or bars of every node and resource (H, W, 3) uint8 ("rgb_array")."""
        state = self._begun()
        if self.render_mode == "ansi":
            placed = ", ".join(
                f"{name} {count}"
                for name, count in zip(self.problem.tiers, self._placed(), strict=True)
            )
            return (
                f"{self.problem.name}: pod {self._at} of {len(self._queue)}, {self._left} left "
                f"pending; running: {placed}\n"
            )
        if self.render_mode != "rgb_array":
            return None
        share = state.use / np.maximum(self.problem.hosts.capacity, 1)
        picture = np.full((_HIGH + 2 * GAP, share.size * (_BAR + GAP) + GAP, 3), EMPTY, np.uint8)
        for at, used in enumerate(share.ravel().tolist()):
            left, deep = GAP + at * (_BAR + GAP), round(_HIGH * min(used, 1.0))
            picture[GAP : GAP + _HIGH, left : left + _BAR] = BLOCK
            colour = USED if used <= 1 else FRAGMENT
            picture[GAP + _HIGH - deep : GAP + _HIGH, left : left + _BAR] = colour
        return picture

    def _check(self, problem: PlacementProblem) -> None:
        """Refuse what this environment cannot be played on."""
        told = problem.name[:80]
        pending = problem.items.host0 < 0
        if not pending.any():
            raise InputError(f"{told!r}: nothing is pending, so nothing arrives")
        if (problem.items.gang[pending] >= 0).any():
            raise InputError(f"{told!r}: gangs are placed all or none, not one by one")
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

    def _begun(self) -> State:
        if self._state is None:
            raise InputError("call reset before anything else")
        return self._state

    def _look(self) -> None:
        """The mask of the next pod."""
        self._mask = np.zeros(self.nodes + 1, bool)
        if self._at < len(self._queue):
            free = candidates(self._begun(), int(self._queue[self._at]))
            self._mask[: len(free)] = free
            self._mask[-1] = True

    def _seen(self) -> dict[str, np.ndarray]:
        state, problem = self._begun(), self.problem
        count, wide = len(problem.hosts), max(len(problem.resources), 1)
        room, use = np.zeros((1, self.nodes, wide)), np.zeros((1, self.nodes, wide))
        room[0, :count, : len(problem.resources)] = problem.hosts.capacity
        use[0, :count, : len(problem.resources)] = state.use
        at = min(self._at, len(self._queue) - 1)
        item, seen = int(self._queue[at]), self._queue[: at + 1]
        tier = problem.items.tier
        hosts, task = Scene(
            room, use, self._free_cells()[None], self._mask[None, :-1],
            problem.items.demand[item][None], tier[item][None], np.array([len(problem.tiers)]),
            np.array([self._at]), np.array([len(self._queue)]), np.array([self._left]),
            problem.items.demand[seen].sum(axis=0)[None], (tier[seen] < tier[item]).sum()[None],
        ).show()  # fmt: skip
        return {"hosts": hosts[0], "task": task[0]}

    def _free_cells(self) -> np.ndarray:
        """(H,) the free share of the cells of every node; 0 where it has none."""
        state, problem, found = self._begun(), self.problem, np.zeros(self.nodes)
        if len(problem.cells):
            count = len(problem.hosts)
            left = np.clip(problem.cells.capacity - state.cell_use, 0, None).sum(axis=1)
            free = left / np.maximum(problem.cells.capacity.sum(axis=1), 1)
            total = np.bincount(problem.cells.host, free, count)
            cells = np.bincount(problem.cells.host, minlength=count)
            found[:count] = np.clip(total / np.maximum(cells, 1), 0, 1)
        return found

    def _placed(self) -> list[int]:
        runs = self._begun().host >= 0
        tiers = self.problem.items.tier[runs]
        return np.bincount(tiers, minlength=len(self.problem.tiers)).tolist()

    def _info(self, illegal: bool) -> dict[str, Any]:
        return {
            "levels": self._levels,
            "placed": self._placed(),
            "seed": self._seed,
            "illegal": illegal,
        }
