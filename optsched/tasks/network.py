"""Sites and the links between them; data takes the path of least latency."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from optsched.arrays import NONE, Bools, Ints, bools, ints, refuse, unique_names
from optsched.errors import ProblemError

MEGABYTE = 1_000_000  # bytes; energy of links is given per megabyte


@dataclass(frozen=True)
class Network:
    """An undirected graph.

    Attributes
    ----------
    sites
        (V,) names: devices, gateways, and where nodes are.
    ends
        (E, 2) the two sites of each link.
    latency
        (E,) in milliseconds.
    bandwidth
        (E,) in bytes per millisecond (kB/s), above 0.
    energy
        (E,) of sending, in millijoules per megabyte.
    shared
        (E,) bool: inputs take turns on it, one at a time in each direction; answers, and what goes
        from node to node, are not held up. Without: it carries any number at full speed.
    """

    sites: tuple[str, ...]
    ends: Ints
    latency: Ints
    bandwidth: Ints
    energy: Ints
    shared: Bools

    @classmethod
    def of(
        cls,
        sites: Sequence[str],
        ends: Any = (),
        *,
        latency: Any = 0,
        bandwidth: Any = 1_000_000,
        energy: Any = 0,
        shared: Any = False,
    ) -> Network:
        """A network with defaults filled in."""
        names = unique_names(sites, len(sites), "site")
        pairs = np.asarray(ends, dtype=np.int64).reshape(-1, 2)
        count = (len(pairs),)
        labels = [f"link {a}-{b}" for a, b in pairs.tolist()]
        wrong = (pairs < 0) | (pairs >= len(names))
        refuse(wrong, labels, "it joins a site that does not exist")
        labels = [f"link {names[a]}-{names[b]}" for a, b in pairs.tolist()]
        made = cls(
            names,
            ints(pairs, pairs.shape, "link ends"),
            ints(latency, count, "link latency"),
            ints(bandwidth, count, "link bandwidth"),
            ints(energy, count, "link energy"),
            bools(shared, count, "link shared"),
        )
        refuse(pairs[:, 0] == pairs[:, 1], labels, "it joins a site to itself; leave it out")
        refuse(made.bandwidth <= 0, labels, "its bandwidth is not above 0; leave the link out")
        refuse(made.latency < 0, labels, "its latency is negative")
        refuse(made.energy < 0, labels, "its energy is negative")
        return made

    def __len__(self) -> int:
        return len(self.sites)

    @cached_property
    def _links_at(self) -> list[list[tuple[int, int]]]:
        """Per site (link, other end)."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.sites]
        for link, (a, b) in enumerate(self.ends.tolist()):
            found[a].append((link, b))
            found[b].append((link, a))
        return found

    @cached_property
    def _trees(self) -> dict[int, tuple[list[int], list[int]]]:
        """Those of `tree` that were asked for."""
        return {}

    @cached_property
    def _hops(self) -> dict[tuple[int, int], tuple[int, ...] | None]:
        """Those of `hops` that were asked for."""
        return {}

    def tree(self, source: int) -> tuple[list[int], list[int]]:
        """The paths of least latency from a site (Dijkstra); of equals the one with fewest links.

        Returns
        -------
        last, before
            Per site the last link of its path and the site before; -1: the source, or unreachable.
        """
        if source in self._trees:
            return self._trees[source]
        last, before = [NONE] * len(self), [NONE] * len(self)
        best: dict[int, tuple[int, int]] = {source: (0, 0)}
        heap, done = [(0, 0, source)], set[int]()
        latency = self.latency.tolist()
        while heap:
            length, hops, site = heapq.heappop(heap)
            if site in done:
                continue
            done.add(site)
            for link, other in self._links_at[site]:
                found = (length + latency[link], hops + 1)
                if other not in best or found < best[other]:
                    best[other], last[other], before[other] = found, link, site
                    heapq.heappush(heap, (*found, other))
        self._trees[source] = last, before
        return last, before

    def path(self, source: int, target: int) -> list[int]:
        """The links from one site to another, in order.

        They are those of `tree` of the target, walked towards it: of paths that are equally short
        the one back may be another.

        Raises
        ------
        ProblemError
            There is no path.
        """
        links = self.hops(source, target)
        if links is None:
            raise ProblemError(
                f"{self.sites[target]!r} cannot be reached from {self.sites[source]!r}"
            )
        return list(links)

    def hops(self, source: int, target: int) -> tuple[int, ...] | None:
        """As `path`, kept for the next time; None: there is no path."""
        if (source, target) not in self._hops:
            last, before = self.tree(target)
            links, here = list[int](), source
            while here != target and last[here] != NONE:
                links.append(last[here])
                here = before[here]
            self._hops[source, target] = tuple(links) if here == target else None
        return self._hops[source, target]

    def passing(self, link: Ints | int, size: Ints) -> Ints:
        """Milliseconds that bytes take over one link each."""
        return np.asarray(self.latency[link] + -(-size // self.bandwidth[link]))

    def spending(self, link: Ints | int, size: Ints) -> Ints:
        """Millijoules of sending bytes over one link each, rounded up."""
        return np.asarray(-(-size * self.energy[link] // MEGABYTE))

    def times(self, links: Sequence[int], size: Ints) -> Ints:
        """(n,) milliseconds that data of `size` (n,) bytes take over links, one after another."""
        return sum((self.passing(link, size) for link in links), np.zeros(len(size), np.int64))
