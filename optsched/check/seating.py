"""Who sits where at one moment of a plan, with the censuses that limits ask for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection

from .reading import Reading, Zone, lists_of


class Census:
    """Which members of a group sit in which domain of a zone."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self._inside: dict[int, set[int]] = {}

    def inside(self, domain: int) -> set[int]:
        """Members that sit in the domain."""
        return self._inside.get(domain, set())

    def smallest(self, gone: Counter[int]) -> int:
        """The smallest count of any domain of the zone, less those gone from it."""
        if len(self._inside) < len(self.zone.domains):
            return 0
        return min(len(inside) - gone[domain] for domain, inside in self._inside.items())

    def enter(self, item: int, host: int) -> None:
        """Count a member on a host."""
        if host >= 0 and self.zone.of_host[host] >= 0:
            self._inside.setdefault(self.zone.of_host[host], set()).add(item)

    def leave(self, item: int, host: int) -> None:
        """Count a member on a host no more."""
        if host >= 0 and self.zone.of_host[host] >= 0:
            self._inside[self.zone.of_host[host]].discard(item)


class Seating:
    """Where every item is, followed move by move.

    Attributes
    ----------
    host, cells
        Of each item.
    on_host, on_cell
        The items there.
    groups_of
        For each mover, the groups it belongs to.
    """

    def __init__(
        self,
        reading: Reading,
        host: list[int],
        cells: list[tuple[int, ...]],
        movers: Collection[int],
    ) -> None:
        self.host, self.cells = host, cells
        self.groups_of = lists_of(reading.problem.where.groups, movers)
        self.on_host: dict[int, set[int]] = defaultdict(set)
        self.on_cell: dict[int, set[int]] = defaultdict(set)
        for item, where in enumerate(host):
            if where >= 0:
                self.on_host[where].add(item)
            for cell in cells[item]:
                self.on_cell[cell].add(item)
        self._groups = reading.problem.where.groups
        self._censuses: dict[int, dict[Zone, Census]] = defaultdict(dict)

    def census(self, group: int, zone: Zone) -> Census:
        """Which members of the group sit in which domain now."""
        known = self._censuses[group]
        if zone not in known:
            census = known[zone] = Census(zone)
            for item in self._groups[group].tolist():
                census.enter(item, self.host[item])
        return known[zone]

    def put(self, item: int, host: int, cells: tuple[int, ...]) -> None:
        """Seat one of the movers elsewhere (host -1: nowhere)."""
        old = self.host[item]
        if old >= 0:
            self.on_host[old].discard(item)
        for cell in self.cells[item]:
            self.on_cell[cell].discard(item)
        if host >= 0:
            self.on_host[host].add(item)
        for cell in cells:
            self.on_cell[cell].add(item)
        for group in self.groups_of[item]:
            for census in self._censuses[group].values():
                census.leave(item, old)
                census.enter(item, host)
        self.host[item], self.cells[item] = host, cells
