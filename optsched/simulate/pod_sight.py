"""What a policy sees of pods that arrive one by one: the same for one environment and for many.

Rows say the same however many nodes, resources and tiers there are.

Columns of a node, shares of its own capacity: free of the pod's dominant resource, and asked of it;
free of the scarcest other resource, and asked of it; the least that would be left free of any; free
cells; whether the rules allow it; 1. Dominant is the resource of which the pod asks the largest
share of the cluster.

Columns of the task: asked of the dominant resource of an average node, and of the other that is
asked most; the tier by the number of tiers, whether it is the lowest, one by the number of tiers;
pods still to come, as a share and per node by 16; pods left, as a share; the mean asked so far, of
the resource asked most and of the one asked least; free share of all nodes, of the most and of the
least free resource; what is still to come, as those so far were, by what is free, of the scarcest
resource, by two; the share of pods so far of higher tiers; the same as before for those alone; 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import Bools, Ints

HOST_WIDE, TASK_WIDE = 8, 16
DEEP = 16  # pods per node that are shown as 1

Floats = np.ndarray


@dataclass
class Scene:
    """N states.

    Attributes
    ----------
    room
        (N, H, R) capacities, float; 0 for nodes that are not there.
    use
        (N, H, R).
    cells
        (N, H) free share of the cells.
    allowed
        (N, H) nodes that the pod may go to.
    demand
        (N, R) of the pod.
    tier, tiers
        (N,) of the pod, and how many there are.
    at, count, left
        (N,) pods looked at, in all, and left pending.
    asked, higher
        (N, R) and (N,): what the pods so far, this one included, asked for, and how many of them
        are of higher tiers than this one.
    """

    room: Floats
    use: Floats
    cells: Floats
    allowed: Bools
    demand: Floats
    tier: Ints
    tiers: Ints
    at: Ints
    count: Ints
    left: Ints
    asked: Floats
    higher: Ints

    def show(self) -> tuple[Floats, Floats]:
        """(N, H, HOST_WIDE) and (N, TASK_WIDE), float32 in [0, 1]; after the last pod, zeros."""
        there = self.room.max(axis=2) > 0
        room = np.maximum(self.room, 1e-9)
        free = np.clip((self.room - self.use) / room, 0, 1)
        ask = np.clip(self.demand[:, None] / room, 0, 1)
        total = np.maximum(self.room.sum(axis=1), 1e-9)
        rows = np.arange(len(room))
        lead = (self.demand / total).argmax(axis=1)
        after = free - ask
        other = np.where(np.arange(room.shape[2]) == lead[:, None, None], 2.0, after)
        second = other.argmin(axis=2)[:, :, None]
        hosts = np.zeros((*there.shape, HOST_WIDE), np.float32)
        hosts[..., 0], hosts[..., 1] = free[rows, :, lead], ask[rows, :, lead]
        if room.shape[2] > 1:
            hosts[..., 2] = np.take_along_axis(free, second, 2)[..., 0]
            hosts[..., 3] = np.take_along_axis(ask, second, 2)[..., 0]
        else:
            hosts[..., 2] = 1.0
        hosts[..., 4] = np.clip(after.min(axis=2), 0, 1)
        hosts[..., 5], hosts[..., 6], hosts[..., 7] = self.cells, self.allowed, 1.0
        hosts[~there] = 0.0
        task = self._task(there, total, lead)
        over = self.at >= self.count
        hosts[over, :, :5] = 0.0
        hosts[over, :, 6] = 0.0
        task[over] = 0.0
        return hosts, task

    def _task(self, there: Bools, total: Floats, lead: Ints) -> Floats:
        nodes = np.maximum(there.sum(axis=1), 1)
        rows = np.arange(len(nodes))
        task = np.zeros((len(nodes), TASK_WIDE), np.float32)
        ask = self.demand / total * nodes[:, None]
        rest = np.where(np.arange(ask.shape[1]) == lead[:, None], 0.0, ask)
        seen, coming = self.at + 1, np.maximum(self.count - self.at - 1, 0)
        mean = self.asked / seen[:, None] / total
        free = np.maximum(total - self.use.sum(axis=1), 0) / total
        needed = coming[:, None] * mean / np.maximum(free, 1e-3)
        above = self.higher / seen
        columns = (
            ask[rows, lead],
            rest.max(axis=1),
            self.tier / np.maximum(self.tiers, 1),
            self.tier == self.tiers - 1,
            1 / np.maximum(self.tiers, 1),
            coming / np.maximum(self.count, 1),
            coming / nodes / DEEP,
            self.left / np.maximum(self.count, 1),
            mean.max(axis=1) * nodes,
            mean.min(axis=1) * nodes,
            free.max(axis=1),
            free.min(axis=1),
            needed.max(axis=1) / 2,
            above,
            needed.max(axis=1) * above / 2,
            np.ones(len(nodes)),
        )
        for at, column in enumerate(columns):
            task[:, at] = np.clip(column, 0, 1)
        return task


def alike(hosts: Floats, mask: Bools, action: int) -> Ints:
    """The allowed actions that lead to the same: nodes that look alike, or to leave the pod.

    Parameters
    ----------
    hosts, mask
        (H, HOST_WIDE) and (H + 1,) of one state.
    """
    if action == len(hosts):
        return np.array([action])
    return np.flatnonzero((hosts == hosts[action]).all(axis=1) & mask[:-1])


def distinct(hosts: Floats, mask: Bools) -> list[int]:
    """One of each kind of allowed actions."""
    allowed = np.flatnonzero(mask).tolist()
    return [action for action in allowed if alike(hosts, mask, action)[0] == action]
