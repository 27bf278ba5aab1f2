"""Who sits where at one moment of a plan, with the censuses that limits ask for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from itertools import zip_longest

from .reading import Reading, Rows, Zone, lists_of


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


class Moved:
    """Cells of each item: those of the start until others are set."""

    def __init__(self, start: Sequence[tuple[int, ...]] | Rows[tuple[int, ...]]) -> None:
        self.start = start
        self.since: dict[int, tuple[int, ...]] = {}

    def __getitem__(self, item: int) -> tuple[int, ...]:
        found = self.since.get(item)
        return self.start[item] if found is None else found

    def __setitem__(self, item: int, cells: tuple[int, ...]) -> None:
        self.since[item] = cells


class Sitters:
    """The items on each place (a host or a cell); sets are made of the places that are asked for.

    `item` and `place` list who sits where, pair by pair.
    """

    def __init__(self, places: int, item: list[int], place: list[int]) -> None:
        self._item = item
        # Pairs of one place form a chain: the last one, and for each the one before.
        self._last = [-1] * places
        self._before = [-1] * len(item)
        for pair, where in enumerate(place):
            self._before[pair] = self._last[where]
            self._last[where] = pair
        self._sets: dict[int, set[int]] = {}

    def __getitem__(self, place: int) -> set[int]:
        found = self._sets.get(place)
        if found is None:
            found = self._sets[place] = set()
            pair = self._last[place]
            while pair >= 0:
                found.add(self._item[pair])
                pair = self._before[pair]
        return found

    def items(self) -> Iterator[tuple[int, set[int]]]:
        """Every place with who is there."""
        return ((place, self[place]) for place in range(len(self._last)))


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
        cells: Sequence[tuple[int, ...]] | Rows[tuple[int, ...]],
        movers: Collection[int],
    ) -> None:
        self.host = host
        self.cells = Moved(cells)
        self.groups_of = lists_of(reading.problem.where.groups, movers)
        placed = [item for item, where in enumerate(host) if where >= 0]
        self.on_host = Sitters(len(reading.capacity), placed, [host[item] for item in placed])
        self._pairs = _pairs(cells)
        self.on_cell = Sitters(len(reading.cell_host), *self._pairs)
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

    def sits(self) -> Iterator[tuple[int, int]]:
        """Every item with each cell that it sits on."""
        for item, cell in zip(*self._pairs, strict=True):
            if item not in self.cells.since:
                yield item, cell
        for item, cells in self.cells.since.items():
            for cell in cells:
                yield item, cell

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
        self.host[item] = host
        self.cells[item] = cells


def _pairs(
    cells: Sequence[tuple[int, ...]] | Rows[tuple[int, ...]],
) -> tuple[list[int], list[int]]:
    """Items and cells, one pair for each cell that an item sits on."""
    item: list[int] = []
    place: list[int] = []
    columns = cells.columns() if isinstance(cells, Rows) else zip_longest(*cells, fillvalue=-1)
    for column in columns:
        for one, cell in enumerate(column):
            if cell >= 0:
                item.append(one)
                place.append(cell)
    return item, place
