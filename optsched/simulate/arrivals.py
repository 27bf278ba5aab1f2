"""Pods that arrive one by one and are bound for good: one episode on any placement problem."""

from __future__ import annotations

import numpy as np

from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import PlacementProblem
from optsched.rules import candidates
from optsched.simulate.pod_sight import Scene
from optsched.state import State


def unfit(problem: PlacementProblem) -> str | None:
    """None, or one sentence why pods cannot be bound one by one."""
    pending = problem.items.host0 < 0
    if not pending.any():
        return "nothing is pending, so nothing arrives"
    if (problem.items.gang[pending] >= 0).any():
        return "gangs are placed all or none, not one by one"
    return None


class Arrivals:
    """Pending items in their order; each is bound to a host that the rules allow, or left pending.

    Attributes
    ----------
    state
        The placement so far.
    queue
        The items that arrive.
    at, left
        How many were looked at, and how many of these left.
    mask
        (nodes + 1,) what is allowed now: exactly `rules.candidates`, and the last one, to leave
        the item, always.

    Parameters
    ----------
    nodes
        For how many nodes tables are padded.
    """

    def __init__(self, problem: PlacementProblem, nodes: int = 0) -> None:
        self.problem, self.state = problem, State(problem)
        self.nodes = max(nodes, len(problem.hosts))
        self.queue = np.flatnonzero(problem.items.host0 < 0)
        self.at = self.left = 0
        self._look()

    @property
    def over(self) -> bool:
        """Whether every item was looked at."""
        return self.at >= len(self.queue)

    def step(self, action: int) -> None:
        """Bind the item to a host, or leave it.

        Raises
        ------
        ValueError
            The mask forbids it; nothing has changed.
        """
        if not 0 <= action <= self.nodes or not self.mask[action]:
            raise ValueError(f"action {action} is not allowed now; see the mask")
        if action < self.nodes:
            self.state.place(int(self.queue[self.at]), action)
        else:
            self.left += 1
        self.at += 1
        self._look()

    def see(self) -> tuple[np.ndarray, np.ndarray]:
        """(nodes, HOST_WIDE) and (TASK_WIDE,), see `simulate.pod_sight`."""
        state, problem = self.state, self.problem
        count, wide = len(problem.hosts), max(len(problem.resources), 1)
        room, use = np.zeros((1, self.nodes, wide)), np.zeros((1, self.nodes, wide))
        room[0, :count, : len(problem.resources)] = problem.hosts.capacity
        use[0, :count, : len(problem.resources)] = state.use
        at = min(self.at, len(self.queue) - 1)
        item, seen = int(self.queue[at]), self.queue[: at + 1]
        tier, demand = problem.items.tier, np.zeros((2, wide))
        demand[0, : len(problem.resources)] = problem.items.demand[item]
        demand[1, : len(problem.resources)] = problem.items.demand[seen].sum(axis=0)
        hosts, task = Scene(
            room, use, self._free_cells()[None], self.mask[None, :-1], demand[:1],
            tier[item][None], np.array([len(problem.tiers)]), np.array([self.at]),
            np.array([len(self.queue)]), np.array([self.left]), demand[1:],
            np.array([(tier[seen] < tier[item]).sum()]),
        ).show()  # fmt: skip
        return hosts[0], task[0]

    def placed(self) -> list[int]:
        """Items per tier that run."""
        tiers = self.problem.items.tier[self.state.host >= 0]
        return np.bincount(tiers, minlength=len(self.problem.tiers)).tolist()

    def plan(self) -> Plan:
        """The bindings so far, one wave each."""
        waves = []
        for item in self.queue[: self.at].tolist():
            host, own = int(self.state.host[item]), self.state.cells[item]
            if host >= 0:
                cells = tuple(own[own >= 0].tolist())
                waves.append(Wave((Move(item, -1, host, cells),)))
        return Plan(self.problem.digest(), Order.WAVES, tuple(waves))

    def _look(self) -> None:
        """The mask of the next item."""
        self.mask = np.zeros(self.nodes + 1, bool)
        if not self.over:
            free = candidates(self.state, int(self.queue[self.at]))
            self.mask[: len(free)] = free
            self.mask[-1] = True

    def _free_cells(self) -> np.ndarray:
        """(nodes,) the free share of the cells of every node; 0 where it has none."""
        state, problem, found = self.state, self.problem, np.zeros(self.nodes)
        if len(problem.cells):
            count = len(problem.hosts)
            left = np.clip(problem.cells.capacity - state.cell_use, 0, None).sum(axis=1)
            free = left / np.maximum(problem.cells.capacity.sum(axis=1), 1)
            total = np.bincount(problem.cells.host, free, count)
            cells = np.bincount(problem.cells.host, minlength=count)
            found[:count] = np.clip(total / np.maximum(cells, 1), 0, 1)
        return found
