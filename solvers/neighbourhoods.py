"""Which items and hosts to pack anew next: the choices of the large neighbourhood search."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from optsched.arrays import Ints
from optsched.solvers.fitting import Fitting
from optsched.solvers.search import Search

MOST_ITEMS = 160  # in one neighbourhood
RARE = 0.5  # share of the hosts that have a resource, below which it is scarce

Hosts: TypeAlias = list[int]
Choice: TypeAlias = tuple[list[int], Hosts]
Floats: TypeAlias = npt.NDArray[np.float64]


class Neighbourhoods:
    """Draws neighbourhoods around what is still wrong with a placement.

    Parameters
    ----------
    search, fitting
        The placement, and the rows of hosts with room.
    rng
        All draws come from here.
    """

    def __init__(self, search: Search, fitting: Fitting, rng: np.random.Generator) -> None:
        self.search, self.fitting, self.rng = search, fitting, rng
        items = search.problem.items
        self.free = search.loose | (items.host0 < 0)
        self.pending = items.host0 < 0

    def around_waiting(self, waiting: Ints, size: int) -> Choice:
        """One or two items that wait, hosts that lack little for them, and hosts with room."""
        tier = self.search.problem.items.tier[waiting]
        highest = waiting[tier == tier.min()]
        item = int(self.rng.choice(highest if self.rng.random() < 0.7 else waiting))
        alike = waiting[self.fitting.kind[waiting] == self.fitting.kind[item]]
        some = [item, *self._draw(alike[alike != item], 2), *self._draw(waiting, 2)]
        near = self._near(item, size - size // 3)
        return self._close(near + self._roomy(size // 3, near), some)

    def around_moved(self, size: int) -> Choice:
        """A few items that have moved or entered, with the hosts that took part, and others."""
        hosts, guest = self._took_part(size - 2)
        hosts += self._promising(guest, (size - len(hosts)) // 2, hosts)
        return self._close(hosts + self._roomy(size - len(hosts), hosts), [])

    def wide(self, size: int) -> Choice:
        """As `around_moved`, on many more hosts, of which only what may make room moves."""
        hosts, guest = self._took_part(2 * size)
        hosts += self._promising(guest, 2 * size, hosts)
        hosts += self._roomy(max(0, 5 * size - len(hosts)), hosts)
        return self._close(hosts, [], lambda item: self._makes_room(item, guest))

    def scarce(self, size: int) -> Choice:
        """Items that ask for a resource few hosts have, on hosts that have it."""
        items, hosts = self.search.problem.items, self.search.problem.hosts
        resource = int(self.rng.choice(self.scarce_resources()))
        has = np.flatnonzero((hosts.capacity[:, resource] > 0) & self.fitting.allowed)
        chosen = self._draw(has, 20 * size)
        return self._close(chosen, [], lambda item: bool(items.demand[item, resource] > 0))

    def scarce_resources(self) -> Ints:
        """Resources that few hosts have and something that entered asks for."""
        items, hosts = self.search.problem.items, self.search.problem.hosts
        asking = np.array(sorted(self.search.entered), dtype=np.int64)
        asked = (items.demand[asking] > 0).any(axis=0)
        return np.flatnonzero(asked & ((hosts.capacity > 0).mean(axis=0) < RARE))

    def around_hosts(self, weight: Floats, size: int) -> Choice:
        """Hosts drawn by `weight` (H,), with as many others."""
        first = self._weighted(np.maximum(weight, 0.0), size // 2)
        others = self.fitting.allowed.astype(float)
        others[first] = 0.0
        return self._close(first + self._weighted(others, size // 2), [])

    # -- parts -----------------------------------------------------------------------------------

    def _draw(self, values: Ints, number: int) -> list[int]:
        number = min(number, len(values))
        return [int(v) for v in self.rng.choice(values, number, replace=False)] if number else []

    def _weighted(self, weight: Floats, number: int) -> Hosts:
        """Hosts drawn without replacement, by weight."""
        number = min(number, int((weight > 0).sum()))
        if number <= 0:
            return []
        drawn = self.rng.choice(len(weight), number, replace=False, p=weight / weight.sum())
        return [int(h) for h in drawn]

    def _took_part(self, most: int) -> tuple[Hosts, int]:
        """Hosts on which a few items that entered left their marks, and one that was pending."""
        items = self.search.problem.items
        changed = np.array(sorted(self.search.entered), dtype=np.int64)
        item = int(self.rng.choice(changed))
        hosts: Hosts = []
        for one in [item, *self._draw(self._like(item, changed), 2)]:
            hosts += self._involved(one)
        guests = changed[items.host0[changed] < 0]
        near = [i for i in guests.tolist() if self.search.state.host[i] in hosts]
        guest = int(self.rng.choice(np.array(near))) if near else item
        return list(dict.fromkeys(hosts))[:most], guest

    def _makes_room(self, item: int, guest: int) -> bool:
        """Whether `item` has changed, or `guest` would fit where it is once it has gone."""
        search, demand = self.search, self.search.problem.items.demand
        if item in search.entered:
            return True
        host = int(search.state.host[item])
        state = search.state
        room = search.problem.hosts.capacity[host] - state.use[host] - state.gone[host]
        return bool(((room + demand[item] >= demand[guest]) | (demand[guest] == 0)).all())

    def _like(self, item: int, others: Ints) -> Ints:
        """Of `others`, those of the same kind if there are enough, mostly; else all."""
        alike = others[(self.fitting.kind[others] == self.fitting.kind[item]) & (others != item)]
        return alike if len(alike) > 1 and self.rng.random() < 0.7 else others[others != item]

    def _involved(self, item: int) -> list[int]:
        """Hosts of an item that entered one: where it is, was, and where what made room went."""
        items, state = self.search.problem.items, self.search.state
        host, home = int(state.host[item]), int(items.host0[item])
        made_room = [i for i in self.search.disturbed if items.host0[i] == host]
        went = [int(state.host[i]) for i in made_room]
        return [h for h in (host, home, *went) if h >= 0]

    def _lack(self, item: int) -> tuple[Ints, Floats]:
        """Hosts open to `item`, and by how much each lacks room for it."""
        problem = self.search.problem
        demand = problem.items.demand[item]
        hosts = np.flatnonzero(self.fitting.eligible(item))
        asked = demand > 0
        need = np.maximum(demand - self.search.free()[hosts], 0)[:, asked]
        scale = np.maximum(problem.hosts.capacity.max(axis=0, initial=1), 1)[asked]
        return hosts, (need / scale).sum(axis=1)

    def _near(self, item: int, number: int) -> Hosts:
        """Hosts that lack little for `item`, drawn so that the nearest are likeliest."""
        hosts, lack = self._lack(item)
        rank = np.argsort(np.argsort(lack + 0.02 * self.rng.random(len(lack)), kind="stable"))
        weight = np.zeros(len(self.search.problem.hosts))
        weight[hosts] = 1.0 / (3.0 + rank) ** 1.5
        return self._weighted(weight, number)

    def _promising(self, item: int, number: int, but: Hosts) -> Hosts:
        """Hosts on which one departure lets `item` in, alone or with others."""
        generous = self._generous(item, number // 2, but)
        near = [h for h in self._near(item, number) if h not in but and h not in generous]
        return generous + near[: number - len(generous)]

    def _generous(self, item: int, number: int, but: Hosts) -> Hosts:
        """Hosts on which one departure lets the most items like `item` in."""
        search, demand = self.search, self.search.problem.items.demand
        movers = np.flatnonzero(self.free & (search.state.host >= 0))
        at = search.state.host[movers]
        room = search.free()[at] + demand[movers]
        asked = np.flatnonzero(demand[item])
        fit = np.full(len(movers), 8)
        for r in asked.tolist():
            fit = np.minimum(fit, room[:, r] // demand[item, r])
        most = np.zeros(len(search.problem.hosts), np.int64)
        np.maximum.at(most, at, fit)
        most[but] = 0
        weight = np.where(self.fitting.eligible(item), np.maximum(most, 0) ** 3.0, 0.0)
        return self._weighted(weight, number)

    def _roomy(self, number: int, but: Hosts) -> Hosts:
        """Hosts with much free room, drawn by it."""
        problem = self.search.problem
        share = self.search.free() / np.maximum(problem.hosts.capacity, 1)
        weight = np.clip(share.min(axis=1, initial=1.0, where=problem.hosts.capacity > 0), 0, 1)
        weight = np.where(self.fitting.allowed, weight**2 + 1e-6, 0.0)
        weight[but] = 0.0
        return self._weighted(weight, number)

    def _close(
        self, hosts: Hosts, waiting: list[int], keep: Callable[[int], bool] | None = None
    ) -> Choice:
        """The free items on `hosts` (that pass `keep`), with whole gangs, and what waits."""
        items, search = self.search.problem.items, self.search
        chosen = dict.fromkeys(waiting)
        kept: Hosts = []
        for host in dict.fromkeys(hosts):
            own = sorted(i for i in search.on[host] if self.free[i] and (not keep or keep(i)))
            if len(chosen) + len(own) <= MOST_ITEMS or not kept:
                kept.append(host)
                chosen.update(dict.fromkeys(own))
        for gang in {int(items.gang[i]) for i in chosen} - {-1}:
            for member in np.flatnonzero(items.gang == gang).tolist():
                host = int(search.state.host[member])
                if host >= 0 and host not in kept:
                    kept.append(host)
                chosen[member] = None
        return [i for i in chosen if self.free[i]], kept
