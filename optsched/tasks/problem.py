"""Tasks, nodes and the network between them, with the times and energies that follow."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields, is_dataclass
from dataclasses import replace as _replace
from functools import cached_property
from typing import Any

import numpy as np

from optsched.arrays import NONE, Bools, Ints, refuse
from optsched.errors import ProblemError
from optsched.tasks.network import Network
from optsched.tasks.ranges import refuse_large
from optsched.tasks.schedule import Schedule
from optsched.tasks.tables import Nodes, Objective, Taken, Tasks, Underway


@dataclass(frozen=True)
class TaskProblem:
    """A set of tasks that is known, and a horizon over which energy is counted.

    Attributes
    ----------
    name
        For people.
    network, nodes, tasks
        The tables.
    horizon
        In milliseconds. Energy is counted up to it, whatever the schedule does, and what has not
        answered by then is unfinished.
    objective
        What is minimised.
    warnings
        What a reader wants to be known.
    taken
        What nodes are busy with besides, such as tasks of windows before.
    underway
        What shared links carry besides, such as inputs of tasks of windows before.
    """

    network: Network
    nodes: Nodes
    tasks: Tasks
    horizon: int
    objective: Objective = field(default_factory=Objective)
    name: str = "tasks"
    warnings: tuple[str, ...] = ()
    taken: Taken = field(default_factory=Taken.of)
    underway: Underway = field(default_factory=Underway.of)

    def __post_init__(self) -> None:
        sites = len(self.network)
        refuse(
            (self.nodes.site < 0) | (self.nodes.site >= sites),
            self.nodes.names,
            "it stands at a site that does not exist",
        )
        refuse(
            (self.tasks.source < 0) | (self.tasks.source >= sites),
            self.tasks.names,
            "it comes from a site that does not exist",
        )
        if self.tasks.eligible.shape[1] != len(self.nodes):
            raise ProblemError(
                f"tasks.eligible speaks of {self.tasks.eligible.shape[1]} nodes and there are "
                f"{len(self.nodes)}"
            )
        if ((self.taken.node < 0) | (self.taken.node >= len(self.nodes))).any():
            raise ProblemError("taken names a node that does not exist")
        link = self.underway.lane // 2
        if ((link < 0) | (link >= len(self.network.ends))).any():
            raise ProblemError("underway names a link that does not exist")
        if not self.network.shared[link].all():
            one, two = self.network.ends[link[~self.network.shared[link]][0]].tolist()
            raise ProblemError(
                f"underway: the link {self.network.sites[one]}-{self.network.sites[two]} is not "
                "shared, so nothing waits for it; set `shared`, or leave that out"
            )
        last = int(self.tasks.arrival.max(initial=0))
        if self.horizon <= last:
            raise ProblemError(f"the horizon of {self.horizon} ms ends before the last arrival")
        refuse_large(self.network, self.nodes, self.tasks, self.horizon, self.objective)

    def replace(self, **changes: Any) -> TaskProblem:
        """A copy with other tables."""
        return _replace(self, **changes)

    def window(
        self,
        rows: Ints,
        now: int,
        nodes: Nodes,
        eligible: Bools,
        taken: Taken,
        underway: Underway,
    ) -> TaskProblem:
        """The problem of some tasks (n,) that can be sent from `now` on, without their precedences.

        Times stay absolute and the horizon is the same; `nodes` are the same ones in another state,
        `eligible` (n, J) where each task may go. Routes are taken over, not searched for again.
        """
        tasks = self.tasks
        columns: dict[str, Any] = {
            name: column[rows]
            for name, column in vars(tasks).items()
            if name not in ("names", "eligible", "before", "data", "arrival")
        }
        made = self.replace(
            nodes=nodes,
            tasks=Tasks(
                names=tuple(tasks.names[i] for i in rows.tolist()),
                arrival=np.full(len(rows), now),
                eligible=eligible,
                before=tasks.before[:0],
                data=tasks.data[:0],
                **columns,
            ),
            taken=taken,
            underway=underway,
            warnings=(),
        )
        up, down, energy, reach = self._routes
        made.__dict__["_routes"] = up[rows], down[rows], energy[rows], reach
        made.__dict__["route"] = self.route[rows]
        return made

    def without_turns(self) -> TaskProblem:
        """The same where every link carries any number of inputs at full speed."""
        if not self.network.shared.any():
            return self
        free = np.zeros_like(self.network.shared)
        free.setflags(write=False)
        return self.replace(network=_replace(self.network, shared=free), underway=Underway.of())

    def digest(self) -> str:
        """A hash of everything but name and warnings."""
        digest = hashlib.blake2b(digest_size=16)
        more = [part for part in (self.taken, self.underway) if len(part)]
        for part in (self.network, self.nodes, self.tasks, *more):
            _feed(digest, part)
        digest.update(repr((self.horizon, self.objective.text)).encode())
        return digest.hexdigest()

    # ------------------------------------------------------------- what follows

    @cached_property
    def _routes(self) -> tuple[Ints, Ints, Ints, Ints]:
        """(I, J) upload and download in ms, energy of both in mJ; and (J, V) reachable or not."""
        tasks, nodes, network = self.tasks, self.nodes, self.network
        sources, which = np.unique(tasks.source, return_inverse=True)
        ways = [
            [network.hops(source, site) for site in nodes.site.tolist()]
            for source in sources.tolist()
        ]
        most = max((len(way) for row in ways for way in row if way is not None), default=0)
        links = np.full((len(sources), len(nodes), most), NONE, np.int64)
        reach = np.zeros((len(nodes), len(network)), np.int64)
        for s, (source, row) in enumerate(zip(sources.tolist(), ways, strict=True)):
            for j, way in enumerate(row):
                if way is not None:
                    reach[j, source] = 1
                    links[s, j, : len(way)] = way
        shape, lost = (len(tasks), len(nodes)), reach[:, tasks.source].T == 0
        up, down, energy = (np.zeros(shape, np.int64) for _ in range(3))
        for k in range(most):
            link = links[which, :, k]
            for total, size in ((up, tasks.input), (down, tasks.output)):
                total += np.where(link != NONE, network.passing(link, size[:, None]), 0)
            spent = network.spending(link, (tasks.input + tasks.output)[:, None])
            energy += np.where(link != NONE, spent, 0)
        for total in (up, down, energy):
            total[lost] = NONE
        return up, down, energy, reach

    @cached_property
    def route(self) -> Ints:
        """(I, J, K, 3) the links on which each input takes turns on its way to each node.

        Each is a lane (twice the link, and 1 more against the order of its ends), ms from when the
        input leaves its source to when it gets there, and ms for which it takes the lane. -1: there
        are fewer. Without shared links K is 0.
        """
        tasks, nodes, network = self.tasks, self.nodes, self.network
        ways: dict[tuple[int, int], list[Ints]] = {}
        sources = np.unique(tasks.source).tolist() if network.shared.any() else []
        for j, site in enumerate(nodes.site.tolist() if sources else []):
            for source in sources:
                size, here = tasks.input[tasks.source == source], source
                after = np.zeros(len(size), np.int64)
                for link in network.hops(source, site) or ():
                    takes = -(-size // network.bandwidth[link])
                    forth = int(network.ends[link, 0]) == here
                    if network.shared[link]:
                        rows = np.stack([np.full(len(size), 2 * link + (not forth)), after, takes])
                        ways.setdefault((j, source), []).append(rows.T)
                    after = after + network.latency[link] + takes
                    here = int(network.ends[link, int(forth)])
        most = max((len(rows) for rows in ways.values()), default=0)
        found = np.full((len(tasks), len(nodes), most, 3), NONE, np.int64)
        for (j, source), passed in ways.items():
            own = np.flatnonzero(tasks.source == source)
            for k, row in enumerate(passed):
                some = row[:, 2] > 0  # what has no bytes takes no link
                found[own[some], j, k] = row[some]
        return found

    @property
    def upload(self) -> Ints:
        """(I, J) ms from the source to the node; -1: there is no path."""
        return self._routes[0]

    @property
    def download(self) -> Ints:
        """(I, J) ms from the node back; -1: there is no path."""
        return self._routes[1]

    @cached_property
    def run(self) -> Ints:
        """(I, J) ms of execution, rounded up."""
        return -(-self.tasks.work[:, None] * 1000 // self.nodes.speed[None, :])

    @cached_property
    def energy(self) -> Ints:
        """(I, J) mJ that the task adds: the power of its cores while it runs, and sending.

        (busy - idle) / cores of the node for each core (Beloglazov and Buyya's linear model).
        """
        power = (self.nodes.busy - self.nodes.idle)[None, :] * self.tasks.cores[:, None]
        spent = power * self.run  # in µJ times cores of the node
        return -(-spent // (1000 * self.nodes.cores[None, :])) + self.energy_sent

    @property
    def energy_sent(self) -> Ints:
        """(I, J) mJ of sending input and output."""
        return np.maximum(self._routes[2], 0)

    def needs(self) -> dict[str, Bools]:
        """(I, J) bool each: what a task asks of a node, whatever else runs there.

        "allowed", "reachable", "cores", "memory", and "deadline": by a hard one it answers.
        """
        tasks, nodes = self.tasks, self.nodes
        hopeless = self.earliest + self.run + self.download > tasks.deadline[:, None]
        return {
            "allowed": tasks.eligible,
            "reachable": self.upload != NONE,
            "cores": tasks.cores[:, None] <= nodes.cores[None, :],
            "memory": tasks.memory[:, None] <= nodes.memory[None, :],
            "deadline": ~(tasks.hard[:, None] & hopeless),
        }

    @cached_property
    def fits(self) -> Bools:
        """(I, J) whether the task may run there at all."""
        first, *rest = self.needs().values()
        fit = first.copy()
        for one in rest:
            fit &= one
        return fit

    @property
    def earliest(self) -> Ints:
        """(I, J) when it can begin at the earliest, in ms, if nobody else is there."""
        return self.tasks.arrival[:, None] + np.maximum(self.upload, 0)

    def sent(self, schedule: Schedule) -> Ints:
        """(I,) when the data of each task leave its source."""
        return self.tasks.arrival if schedule.sent is None else schedule.sent

    def come(self, schedule: Schedule) -> Ints:
        """(I,) when the data of each task of a schedule are on its node."""
        node = np.clip(schedule.node, 0, len(self.nodes) - 1)
        upload = self.upload[np.arange(len(self.tasks)), node]
        return np.asarray(self.sent(schedule) + np.maximum(upload, 0))

    def ready(self, schedule: Schedule) -> Ints:
        """(I,) when each task of a schedule can begin, by its data, and its node being awake.

        A sleeping node is woken when the first of its tasks is sent. What follows a task that is
        rejected is never ready.
        """
        node = np.clip(schedule.node, 0, len(self.nodes) - 1)
        row = np.arange(len(self.tasks))
        ready = self.come(schedule)
        sent = self.sent(schedule)
        for j in np.flatnonzero(self.nodes.asleep).tolist():
            own = np.flatnonzero(schedule.node == j)
            if not len(own):
                continue
            first = int(sent[own].min())
            if schedule.woken is not None and schedule.woken[j] != NONE:
                first = int(schedule.woken[j])
            ready[own] = np.maximum(ready[own], first + int(self.nodes.wake_time[j]))
        ended = schedule.start + self.run[row, node]
        for p, (a, b) in enumerate(self.tasks.before.tolist()):
            if schedule.node[a] >= 0:
                there = int(ended[a]) + int(self.between[p, node[a], node[b]])
                ready[b] = max(int(ready[b]), there)
        return ready

    @cached_property
    def between(self) -> Ints:
        """(P, J, J) ms that the data of each precedence take from one node to another."""
        nodes, network, tasks = self.nodes, self.network, self.tasks
        found = np.full((len(tasks.before), len(nodes), len(nodes)), NONE, np.int64)
        if not len(tasks.before):
            return found
        for j, site in enumerate(nodes.site.tolist()):
            for k, other in enumerate(nodes.site.tolist()):
                links = network.hops(other, site)
                if links is not None:
                    found[:, k, j] = network.times(links, tasks.data)
        return found


def _feed(digest: Any, part: Any) -> None:
    """Hash every field of a table."""
    if not is_dataclass(part):
        raise TypeError(type(part).__name__)
    for one in fields(part):
        value = getattr(part, one.name)
        if one.name == "shared" and not value.any():
            continue  # hashed as before there were such links
        digest.update(one.name.encode())
        if isinstance(value, np.ndarray):
            digest.update(repr((value.dtype.str, value.shape)).encode() + value.tobytes())
        else:
            digest.update(repr(value).encode())
