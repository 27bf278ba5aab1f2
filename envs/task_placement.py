"""`optsched/TaskPlacement-v0`: tasks arrive over time and are sent to nodes, one decision each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, SupportsInt

import gymnasium as gym
import numpy as np
from gymnasium import spaces

from optsched.arrays import NONE, Bools
from optsched.envs.actions import one
from optsched.envs.drawing import BLOCK, EMPTY, FRAGMENT, GAP, USED, Picture
from optsched.envs.pool import Pool
from optsched.errors import InputError
from optsched.generate.tasks import tasks as draw
from optsched.kernels import event_tables as tables
from optsched.kernels import views
from optsched.simulate.episodes import Episode, weighed
from optsched.simulate.online import Played
from optsched.simulate.worlds import Knobs, World
from optsched.tasks import Objective, TaskProblem

PATIENCE = 100  # illegal actions before an episode is cut short
_BAR, _HIGH = 12, 48

Seen = dict[str, np.ndarray]


class TaskPlacement(gym.Env[Any, Any]):
    """Send tasks to nodes as they come, for quick answers, little energy and few missed deadlines.

    The clock jumps from decision to decision. Decisions see estimates; noise, drifting links and
    failures are drawn before the episode begins and are the same whatever is decided.

    Observation
        `nodes` (N, 22) and `task` (18,): float32 in [-8, 8], relative to what the best node offers;
        the columns are those of `optsched.kernels.views`, rows of nodes that do not exist are 0.
    Action
        Discrete(N + 2): a node; N to defer (look again when a task has ended or a node is back); or
        N + 1 to reject for good. `action_masks()` says which are allowed; N + 1 always is. Others
        change nothing (`info["illegal"]`); after 100 of them the episode is truncated.
    Reward
        How much the objective's weighted sum over what is decided fell, times `reward_scale`. In
        the end it has fallen to what `optsched.tasks.evaluate` says of the whole run.
    Termination
        When every task has ended or is rejected. What still waits when the horizon comes is
        rejected, and counted so.
    Info
        `levels`: of the objective over what is decided; `now` in ms; `seed` of the instance, -1 for
        a given problem. `score()` is the run so far by the evaluator.

    Parameters
    ----------
    problem
        The one instance; without it they are drawn by `optsched.generate.tasks`.
    nodes, count, load, burst, turns
        Of drawn instances; a problem may have at most `nodes` nodes.
    noise, drift, stale, failures, repair, requeue
        How far the world differs from what is believed, see `optsched.simulate.Knobs`.
    order
        Which of several waiting tasks is next: "arrival", "deadline" or "length".
    objective
        As on the command line; "": response, energy and lateness in one sum (`weighed`). Rewards
        count each level 1,000 times the next; `info["levels"]` keeps them apart.
    source
        From a seed to a problem, in place of the generator.
    split, instances
        Of the seeds, see `Pool`.
    """

    metadata = {"render_modes": ["ansi", "rgb_array"], "render_fps": 4}  # noqa: RUF012 - Gymnasium

    def __init__(
        self,
        *,
        problem: TaskProblem | None = None,
        nodes: int = 8,
        count: int = 100,
        load: float = 0.8,
        burst: bool = False,
        turns: bool = False,
        noise: float = 0.0,
        drift: float = 0.0,
        stale: int = 0,
        failures: float = 0.0,
        repair: int = 5000,
        requeue: bool = True,
        order: str = "arrival",
        objective: str = "",
        source: Callable[[int], TaskProblem] | None = None,
        split: str = "train",
        instances: int = 0,
        reward_scale: float = 1.0,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise InputError(f"render mode {render_mode!r}: give 'ansi' or 'rgb_array'")
        wanted = Objective.parse(objective) if objective else None
        knobs = Knobs(noise, drift, stale, failures, repair, requeue)

        def generated(seed: int) -> TaskProblem:
            return draw(seed, nodes=nodes, count=count, load=load, burst=burst, turns=turns)

        def begun(seed: int) -> Episode:
            return self._begin((source or generated)(seed), seed)

        self._knobs, self._order, self._wanted = knobs, order, wanted
        self.most = nodes if problem is None else max(nodes, len(problem.nodes))
        self.pool = Pool(begun, split, instances)
        self._fixed = None if problem is None else self._begin(problem, 0)
        self.reward_scale, self.render_mode = reward_scale, render_mode
        shapes = {"nodes": (self.most, views.NODE_WIDE), "task": (views.TASK_WIDE,)}
        self.observation_space = spaces.Dict(
            {
                name: spaces.Box(-views.HIGH, views.HIGH, shape, np.float32)
                for name, shape in shapes.items()
            }
        )
        self.action_space = spaces.Discrete(self.most + 2)
        self._run: Episode | None = None

    def _begin(self, problem: TaskProblem, seed: int) -> Episode:
        if len(problem.nodes) > self.most:
            raise InputError(
                f"{problem.name[:80]!r} has {len(problem.nodes)} nodes, the environment is made "
                f"for {self.most}; make it with nodes={len(problem.nodes)}"
            )
        if self._wanted is not None:
            problem = problem.replace(objective=self._wanted)
        else:
            problem = weighed(problem)
        return Episode(World.of(problem, self._knobs, seed), self._order, self.most)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Begin an episode; options: "problem", or the seed of an "instance"."""
        super().reset(seed=seed)
        wishes = dict(options or {})
        problem, chosen = wishes.pop("problem", None), wishes.pop("instance", None)
        if wishes:
            raise InputError(f"reset knows no option {next(iter(wishes))!r}")
        self._seed = -1
        if problem is not None:
            self._run = self._begin(problem, 0)
        elif chosen is not None:
            self._seed, self._run = int(chosen), self.pool.get(int(chosen))
        elif self._fixed is not None:
            self._run = self._fixed
        else:
            self._seed, self._run = self.pool.draw(self.np_random)
        self._run.reset()
        self._refused = 0
        return self._seen(self._run), self._info(self._run, False)

    def step(self, action: SupportsInt) -> tuple[Seen, float, bool, bool, dict[str, Any]]:
        """Place, defer or reject the task.

        Raises
        ------
        InputError
            The action is no whole number, or there was no reset.
        """
        run = self._begun()
        gain = run.step(one(action))
        if gain is None:
            self._refused += 1
        reward = (gain or 0) * self.reward_scale
        cut = self._refused >= PATIENCE
        return self._seen(run), reward, run.task == NONE, cut, self._info(run, gain is None)

    def action_masks(self) -> Bools:
        """(N + 2,) bool: what is allowed now."""
        return self._begun().mask.copy()

    def score(self) -> Played:
        """What was done so far, and what the evaluator says of it."""
        return self._begun().score()

    def render(self) -> str | Picture | None:
        """Words ("ansi"), or bars of cores at work on every node (H, W, 3) ("rgb_array")."""
        run = self._begun()
        live, cores = run.live, run.setting.host[tables.HOST_CORES]
        if self.render_mode == "ansi":
            clock = live.clock
            return (
                f"{run.world.seen.name}: {run.now:,} ms, {clock[tables.WAITING]} tasks wait, "
                f"{clock[tables.ACTIVE]} are on nodes, {clock[tables.OPEN]} are not done\n"
            )
        if self.render_mode != "rgb_array":
            return None
        picture = np.full((_HIGH + 2 * GAP, self.most * (_BAR + GAP) + GAP, 3), EMPTY, np.uint8)
        for j, free in enumerate(live.host[tables.FREE, : len(cores)].tolist()):
            left, deep = GAP + j * (_BAR + GAP), round(_HIGH * (1 - free / int(cores[j])))
            down = bool(live.host[tables.DOWN_NOW, j])
            on = live.host[tables.AWAKE, j] >= 0
            colour = FRAGMENT if down else BLOCK if on else (225, 225, 225)
            picture[GAP : GAP + _HIGH, left : left + _BAR] = colour
            picture[GAP + _HIGH - deep : GAP + _HIGH, left : left + _BAR] = USED
        return picture

    def _begun(self) -> Episode:
        if self._run is None:
            raise InputError("call reset before anything else")
        return self._run

    def _seen(self, run: Episode) -> Seen:
        return {"nodes": run.nodes.copy(), "task": run.facts.copy()}

    def _info(self, run: Episode, illegal: bool) -> dict[str, Any]:
        return {"levels": run.values, "now": run.now, "seed": self._seed, "illegal": illegal}
