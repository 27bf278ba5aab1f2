"""The baseline: the paper's per-pod Boolean CP-SAT model, written anew from its description.

One Boolean per pod and node on which the pod fits alone, one per pod for "placed"; at least one
pending pod is placed. Per priority p, highest first, two stages, each frozen before the next: place
the most pods of priority >= p, then disturb the running pods of priority >= p the least, where an
eviction costs 1 and a move 2. A stage that proves its optimum is frozen at it, one that does not is
a lower limit for what follows; a stage without a solution ends the run. 60 % of the time is shared
out over the priorities, 40 % is a pool that the first who need it use up; placing gets at most half
of a priority's time. Hints are the current nodes of running pods at first, then the last solution.
The status of the whole is that of the worst stage.

Two things differ from the plugin, both on purpose: it runs in this process, and the clock starts
before the model is built (the plugin's starts after).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from ortools.sat.python import cp_model

from optsched.arrays import Bools, Ints
from optsched.problem import PlacementProblem

GUARANTEED = 0.6  # share of the time that is split evenly over the priorities
PLACING = 0.5  # share of a priority's time for its first stage
NO_TIME = 1e-3  # s; a stage with less is not started
EVICTION, MOVE = 1, 2
WORST_FIRST = ("MODEL_INVALID", "UNKNOWN", "INFEASIBLE", "FEASIBLE", "OPTIMAL")


@dataclass(frozen=True)
class Stage:
    """One solve.

    Attributes
    ----------
    tier
        0 is the highest priority.
    kind
        "place" or "disturb".
    status
        Name of the CP-SAT status.
    value
        Of the objective; 0 without a solution.
    seconds
        Spent in the solver.
    """

    tier: int
    kind: str
    status: str
    value: int
    seconds: float


@dataclass(frozen=True)
class Answer:
    """What the model found.

    Attributes
    ----------
    status
        The worst of the stages' statuses.
    host
        (I,) node of each item, -1: none; the current placement where a stage had no solution (the
        plugin does not apply such a plan).
    seconds
        From the call to the answer, model building included.
    stages
        In order.
    """

    status: str
    host: Ints
    seconds: float
    stages: tuple[Stage, ...]


def solve(problem: PlacementProblem, seconds: float, *, workers: int = 2) -> Answer:
    """Solve with the paper's model.

    Parameters
    ----------
    problem
        Only hosts, items and tiers are read: capacities hold after the plan, immovable items stay.
    seconds
        Time limit, model building included.
    workers
        CP-SAT workers.
    """
    started = time.monotonic()
    run = _Run(problem, started + seconds, workers)
    tiers = sorted(set(problem.items.tier.tolist()))
    pool = (1 - GUARANTEED) * seconds
    guaranteed = GUARANTEED * seconds
    for left, tier in zip(range(len(tiers), 0, -1), tiers, strict=True):
        limit = min(run.remaining(), guaranteed / left + pool)
        if limit <= NO_TIME:
            continue
        within = problem.items.tier <= tier
        spent = run.stage(tier, "place", within, limit * PLACING)
        if not run.solved:
            break
        if min(run.remaining(), limit - spent) > NO_TIME and (within & run.running).any():
            spent += run.stage(tier, "disturb", within & run.running, limit - spent)
            if not run.solved:
                break
        from_pool = min(pool, spent)
        pool -= from_pool
        guaranteed = max(0.0, guaranteed - (spent - from_pool))
    seen = {stage.status for stage in run.stages}
    status = next((one for one in WORST_FIRST if one in seen), "UNKNOWN")
    usable = status in ("OPTIMAL", "FEASIBLE")
    host = run.placement() if usable else problem.items.host0
    return Answer(status, host, time.monotonic() - started, tuple(run.stages))


@dataclass
class _Run:
    """The model, its last solution, and the stages so far."""

    problem: PlacementProblem
    deadline: float
    workers: int
    solved: bool = False
    stages: list[Stage] = field(default_factory=list)

    def __post_init__(self) -> None:
        items, hosts = self.problem.items, self.problem.hosts
        self.running = items.host0 >= 0
        room = hosts.capacity - hosts.fixed_use
        fits: Bools = np.all(items.demand[:, None, :] <= room[None, :, :], axis=2)
        self.model = cp_model.CpModel()
        self.solver = cp_model.CpSolver()
        self.solver.parameters.num_workers = self.workers
        # By default CP-SAT takes Ctrl-C away from Python, and leaves it deadly after a solve.
        self.solver.parameters.catch_sigint_signal = False
        self.placed = [self.model.new_bool_var("") for _ in range(len(items))]
        self.assign = [
            {int(j): self.model.new_bool_var("") for j in np.flatnonzero(fits[i])}
            for i in range(len(items))
        ]
        for placed, assign in zip(self.placed, self.assign, strict=True):
            self.model.add(cp_model.LinearExpr.sum(list(assign.values())) == placed)
        for j in range(len(hosts)):
            on = [i for i in range(len(items)) if fits[i, j]]
            if not on:
                continue
            columns = [self.assign[i][j] for i in on]
            for r in range(room.shape[1]):
                use = cp_model.LinearExpr.weighted_sum(columns, items.demand[on, r].tolist())
                self.model.add(use <= int(room[j, r]))
        for i in np.flatnonzero(self.running & ~items.movable).tolist():
            self.model.add(self._stays(i) == 1)
        pending = [self.placed[i] for i in np.flatnonzero(~self.running).tolist()]
        if pending:
            self.model.add(cp_model.LinearExpr.sum(pending) >= 1)
        for i in np.flatnonzero(self.running).tolist():
            if (stays := self.assign[i].get(int(items.host0[i]))) is not None:
                self.model.add_hint(self.placed[i], 1)
                self.model.add_hint(stays, 1)

    def remaining(self) -> float:
        """Seconds left."""
        return max(0.0, self.deadline - time.monotonic())

    def stage(self, tier: int, kind: str, items: Bools, limit: float) -> float:
        """Solve one stage over the `items` marked, freeze its result; the seconds it took."""
        chosen = np.flatnonzero(items).tolist()
        if kind == "place":
            goal = cp_model.LinearExpr.sum([self.placed[i] for i in chosen])
            self.model.maximize(goal)
        else:
            goal = cp_model.LinearExpr.sum([self._disturbance(i) for i in chosen])
            self.model.minimize(goal)
        budget = min(limit, self.remaining())
        started = time.monotonic()
        code = cp_model.UNKNOWN
        if budget > NO_TIME:
            self.solver.parameters.max_time_in_seconds = budget
            code = self.solver.solve(self.model)
        spent = min(budget, time.monotonic() - started)
        self.solved = code in (cp_model.OPTIMAL, cp_model.FEASIBLE)
        value = self.solver.value(goal) if self.solved else 0
        self.stages.append(Stage(tier, kind, self.solver.status_name(code), value, spent))
        if self.solved:
            self._freeze(goal, kind, value, exact=code == cp_model.OPTIMAL)
        return spent

    def placement(self) -> Ints:
        """(I,) node of each item in the last solution, -1: none."""
        host = np.full(len(self.assign), -1)
        for i, assign in enumerate(self.assign):
            for j, chosen in assign.items():
                if self.solver.boolean_value(chosen):
                    host[i] = j
        return host

    def _freeze(self, goal: cp_model.LinearExprT, kind: str, value: int, *, exact: bool) -> None:
        if exact:
            self.model.add(goal == value)
        elif kind == "place":
            self.model.add(goal >= value)
        else:
            self.model.add(goal <= value)
        self.model.clear_hints()  # type: ignore[no-untyped-call]
        for assign in self.assign:
            for chosen in assign.values():
                self.model.add_hint(chosen, self.solver.boolean_value(chosen))

    def _stays(self, i: int) -> cp_model.LinearExprT:
        return self.assign[i].get(int(self.problem.items.host0[i]), 0)

    def _disturbance(self, i: int) -> cp_model.LinearExprT:
        """0 for a running pod that stays, `EVICTION` or `MOVE` for others."""
        terms = [self.placed[i]]
        weights = [MOVE - EVICTION]
        if (stays := self.assign[i].get(int(self.problem.items.host0[i]))) is not None:
            terms.append(stays)
            weights.append(-MOVE)
        return EVICTION + cp_model.LinearExpr.weighted_sum(terms, weights)
