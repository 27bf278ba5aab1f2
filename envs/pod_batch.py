"""Many environments of pod packing in one process, for pods that ask for resources and no more."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from optsched.arrays import Bools, Ints
from optsched.envs.actions import many
from optsched.envs.pod_packing import drawn
from optsched.envs.pool import Pool
from optsched.errors import InputError
from optsched.levels import TermKind
from optsched.problem import PlacementProblem
from optsched.simulate.pod_sight import HOST_WIDE, TASK_WIDE, Scene

Seen = dict[str, np.ndarray]
_TABLES = (
    "_room", "_use", "_demand", "_asked", "_tier", "_worth", "_higher", "_tiers", "_count", "_at",
    "_left", "_sums",
)  # fmt: skip


def unfit(problem: PlacementProblem) -> str | None:
    """None, or one sentence why many environments cannot be played on it side by side."""
    pending = problem.items.host0 < 0
    if not pending.any():
        return "nothing is pending"
    if problem.items.cells_needed[pending].any() or (problem.items.gang[pending] >= 0).any():
        return "pods of cells or gangs need the single environment"
    if (problem.items.weight[pending] != 1).any():
        return "pods that weigh more than others need the single environment"
    if len(problem.limits) or problem.where.excluded.any() or problem.hosts.drain.any():
        return "limits, taints, selectors and drains need the single environment"
    return None


class PodPackingBatch(VectorEnv[Seen, Ints, Any]):
    """N environments of `PodPacking`, stepped together; what ends begins anew in the same step.

    Observation, action and termination are those of `PodPacking`. A bound pod earns the weight of
    its tier, which is what `PodPacking` gives with the same weights. Illegal actions raise. Where
    `infos["_final_obs"]`, `infos["final_obs"]` is the last observation of an episode that ended,
    `infos["levels"]` the values it ended with and `infos["gain"]` what it earned.

    Parameters
    ----------
    num_envs
        N.
    pool
        Where problems come from.
    nodes
        The most nodes a problem has.
    ratio
        How much more a pod of a tier is worth than one of the next; one of the highest is worth 1.
    reward_scale
        Factor of rewards.
    """

    def __init__(
        self,
        num_envs: int,
        pool: Pool[PlacementProblem],
        nodes: int,
        ratio: float = 4.0,
        reward_scale: float = 1.0,
    ) -> None:
        if num_envs < 1:
            raise InputError(f"{num_envs} environments; give at least 1")
        if not 1 <= ratio < float("inf"):
            raise InputError(f"a tier worth {ratio} of the next one; give a ratio of at least 1")
        self.num_envs, self.pool, self.nodes, self.ratio = num_envs, pool, nodes, ratio
        self.reward_scale = reward_scale
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = spaces.Dict(
            {
                "hosts": spaces.Box(0.0, 1.0, (nodes, HOST_WIDE), np.float32),
                "task": spaces.Box(0.0, 1.0, (TASK_WIDE,), np.float32),
            }
        )
        self.single_action_space = spaces.Discrete(nodes + 1)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._problems: list[PlacementProblem] = []

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Seen, dict[str, Any]]:
        """Begin all episodes; one seed serves all, that of the first where there are several."""
        super().reset(seed=seed[0] if isinstance(seed, list) else seed)
        if options:
            raise InputError(f"reset knows no option {next(iter(options))!r}")
        found = [self.pool.draw(self.np_random)[1] for _ in range(self.num_envs)]
        return self.begin(found), {}

    def begin(self, problems: list[PlacementProblem]) -> Seen:
        """Begin all episodes on given problems.

        Raises
        ------
        InputError
            Some cannot be played side by side.
        """
        self.num_envs = len(problems)
        deep = max(int((one.items.host0 < 0).sum()) for one in problems)
        wide = max(len(one.resources) for one in problems)
        count = self.num_envs
        self._room = np.zeros((count, self.nodes, wide))
        self._use = np.zeros((count, self.nodes, wide))
        self._demand = np.zeros((count, deep, wide))
        self._asked = np.zeros((count, deep, wide))  # of each pod and those before it
        self._tier = np.zeros((count, deep), np.int64)
        self._worth = np.zeros((count, deep))
        self._higher = np.zeros((count, deep), np.int64)
        self._tiers, self._count, self._at, self._left = np.zeros((4, count), np.int64)
        self._placed: list[Ints] = [np.zeros(1, np.int64)] * count
        self._sums = np.zeros(count)
        self._problems = list(problems)
        self.bound: list[list[int]] = [[] for _ in problems]
        for n, problem in enumerate(problems):
            self._load(n, problem)
        return self.see()

    def _load(self, n: int, problem: PlacementProblem) -> None:
        reason = unfit(problem)
        if reason is not None:
            raise InputError(f"{problem.name[:80]!r}: {reason}")
        queue, hosts = np.flatnonzero(problem.items.host0 < 0), len(problem.hosts)
        if hosts > self.nodes or len(problem.resources) > self._room.shape[2]:
            raise InputError(
                f"{problem.name[:80]!r} has more nodes or resources than these environments; make "
                "them with more"
            )
        if len(queue) > self._demand.shape[1]:
            self._deepen(len(queue))
        self._problems[n] = problem
        wide = len(problem.resources)
        self._room[n], self._use[n], self._demand[n] = 0, 0, 0
        self._room[n, :hosts, :wide] = problem.hosts.capacity
        self._use[n, :hosts, :wide] = problem.hosts.fixed_use
        for item in np.flatnonzero(problem.items.host0 >= 0).tolist():
            self._use[n, problem.items.host0[item], :wide] += problem.items.demand[item]
        tiers = problem.items.tier[queue]
        self._demand[n, : len(queue), :wide] = problem.items.demand[queue]
        self._worth[n] = 0
        self._tier[n, : len(queue)] = tiers
        self._tiers[n] = len(problem.tiers)
        self._rank(n, tiers)
        self._count[n], self._at[n], self._left[n] = len(queue), 0, 0
        self._placed[n] = np.bincount(
            problem.items.tier[problem.items.host0 >= 0], minlength=len(problem.tiers)
        )
        self._sums[n] = 0
        self.bound[n] = []

    def _deepen(self, pods: int) -> None:
        more = pods - self._demand.shape[1]
        self._demand = np.pad(self._demand, ((0, 0), (0, more), (0, 0)))
        # What the last pod's row says goes on for those that are not there.
        self._asked = np.pad(self._asked, ((0, 0), (0, more), (0, 0)), mode="edge")
        for name in ("_tier", "_worth", "_higher"):
            setattr(self, name, np.pad(getattr(self, name), ((0, 0), (0, more))))

    def copies(self, rows: Ints) -> PodPackingBatch:
        """Environments that go on from where those of the rows (K,) are now."""
        other, own = copy.copy(self), rows.tolist()
        lists = {
            "num_envs": len(own),
            "_placed": [self._placed[n].copy() for n in own],
            "_problems": [self._problems[n] for n in own],
            "bound": [list(self.bound[n]) for n in own],
        }
        vars(other).update({name: getattr(self, name)[rows] for name in _TABLES} | lists)
        other.see()
        return other

    def foresee(self, n: int, demand: np.ndarray, tier: Ints) -> None:
        """Let other pods come in environment n, after the one that it is at.

        Parameters
        ----------
        demand, tier
            (K, R) and (K,) of all that come: as many as before.

        Raises
        ------
        InputError
            They are not as many.
        """
        at, end = int(self._at[n]) + 1, int(self._count[n])
        if len(demand) != end - at or len(tier) != end - at:
            raise InputError(f"{len(demand)} pods to come in place of {max(end - at, 0)}")
        self._demand[n, at:end], self._tier[n, at:end] = demand, tier
        self._rank(n, self._tier[n, :end])

    def _rank(self, n: int, tiers: Ints) -> None:
        """What follows from the demands and tiers of the pods of an environment."""
        self._worth[n, : len(tiers)] = self.ratio ** -tiers.astype(float)
        self._higher[n, : len(tiers)] = np.tril(tiers[None] < tiers[:, None]).sum(axis=1)
        self._asked[n] = np.cumsum(self._demand[n], axis=0)

    def step(self, actions: Ints) -> tuple[Seen, np.ndarray, Bools, Bools, dict[str, Any]]:
        """One step of all.

        Raises
        ------
        InputError
            An action is not allowed, or they are not one for each.
        """
        rewards = self.play(actions) * self.reward_scale
        done = self._at >= self._count
        infos = self._restart(done) if done.any() else {}
        return self.see(), rewards, done, np.zeros(self.num_envs, bool), infos

    def _restart(self, done: Bools) -> dict[str, Any]:
        """Begin the episodes that have ended anew, and tell of the ends."""
        seen, gain = self.see(), np.where(done, self._sums, 0.0) * self.reward_scale
        last: list[Seen | None] = [None] * self.num_envs
        levels: list[tuple[int, ...] | None] = [None] * self.num_envs
        for n in np.flatnonzero(done).tolist():
            last[n] = {name: table[n].copy() for name, table in seen.items()}
            levels[n] = self.levels(n)
            self._load(n, self.pool.draw(self.np_random)[1])
        return {
            "final_obs": np.array(last, dtype=object), "_final_obs": done,
            "levels": levels, "_levels": done, "gain": gain, "_gain": done,
        }  # fmt: skip

    def play(self, actions: Ints) -> np.ndarray:
        """One step of all that go on, none begins anew; (N,) what it earned."""
        actions = many(actions, self.num_envs)
        rows, going = np.arange(self.num_envs), self._at < self._count
        legal = self._mask[rows, np.clip(actions, 0, self.nodes)] & (actions >= 0)
        legal &= actions <= self.nodes
        if (going & ~legal).any():
            n = int(np.argmax(going & ~legal))
            raise InputError(f"environment {n}: action {actions[n]} is not allowed; see the masks")
        at = np.minimum(self._at, self._demand.shape[1] - 1)
        takes = going & (actions < self.nodes)
        self._use[rows[takes], actions[takes]] += self._demand[rows[takes], at[takes]]
        rewards = np.where(takes, self._worth[rows, at], 0.0)
        for n in np.flatnonzero(going).tolist():
            if takes[n]:
                self._placed[n][self._tier[n, at[n]]] += 1
            self.bound[n].append(int(actions[n]) if takes[n] else -1)
        self._left += going & ~takes
        self._at += going
        self._sums += rewards
        return rewards

    def placed(self, n: int) -> list[int]:
        """Pods per tier that run."""
        return self._placed[n].tolist()

    def levels(self, n: int) -> tuple[int, ...]:
        """Of every level, what is not placed; levels of moves and evictions are 0."""
        problem = self._problems[n]
        whole = np.bincount(problem.items.tier, minlength=len(problem.tiers))
        missing = whole - self._placed[n]
        return tuple(
            sum(
                term.weight * int(missing.sum() if term.tier < 0 else missing[term.tier])
                for term in level.terms
                if term.kind is TermKind.UNPLACED
            )
            for level in problem.objective
        )

    @property
    def over(self) -> Bools:
        """(N,) whether no step follows."""
        return self._at >= self._count

    def action_masks(self) -> Bools:
        """(N, H + 1) bool: what is allowed now."""
        return self._mask.copy()

    def worth(self) -> np.ndarray:
        """(N,) what all pods together would earn."""
        return self._worth.sum(axis=1)

    def earned(self) -> np.ndarray:
        """(N,) what was earned so far."""
        return self._sums.copy()

    def see(self) -> Seen:
        """What policies see now."""
        rows, going = np.arange(self.num_envs), self._at < self._count
        at = np.minimum(self._at, self._demand.shape[1] - 1)
        demand = self._demand[rows, at]
        fits = ((self._use + demand[:, None] <= self._room) | (demand[:, None] <= 0)).all(axis=2)
        there = self._room.max(axis=2) > 0
        self._mask = np.zeros((self.num_envs, self.nodes + 1), bool)
        self._mask[:, :-1] = fits & there & going[:, None]
        self._mask[:, -1] = going
        scene = Scene(
            self._room, self._use, np.zeros(there.shape), self._mask[:, :-1], demand,
            self._tier[rows, at], self._tiers, self._at, self._count, self._left,
            self._asked[rows, at], self._higher[rows, at],
        )  # fmt: skip
        hosts, task = scene.show()
        return {"hosts": hosts, "task": task}


def make_batch(
    num_envs: int = 1,
    *,
    nodes: int = 8,
    ppn: int = 4,
    priorities: int = 4,
    usage: int | None = None,
    split: str = "train",
    instances: int = 0,
    **more: float,
) -> PodPackingBatch:
    """N environments on the instances of `PodPacking`: entry of `gymnasium.make_vec`.

    Parameters
    ----------
    **more
        `ratio` and `reward_scale`, see `PodPackingBatch`.
    """

    def make(seed: int) -> PlacementProblem:
        return drawn(seed, nodes, ppn, priorities, usage)

    return PodPackingBatch(num_envs, Pool(make, split, instances), nodes, **more)
