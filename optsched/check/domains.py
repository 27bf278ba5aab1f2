"""Rule 5, the limits over topology domains, for whatever arrives.

The same reading serves a wave (the arrivals are not seated yet, and some of those seated leave) and
the placement after a plan (the arrivals are seated, nobody leaves): counts are of distinct items.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import chain

from optsched.arrays import NONE
from optsched.limits import LimitKind
from optsched.plan import Move, Violation

from .reading import Reading, Zone
from .room import quoted, wording
from .seating import Seating


@dataclass(frozen=True)
class _Scene:
    """One moment: who sits where, who arrives (by group) and who leaves."""

    reading: Reading
    seating: Seating
    arriving: Mapping[int, list[Move]]
    leaving: AbstractSet[int]
    wave: int

    def entered(self, group: int, zone: Zone) -> dict[int, set[int]]:
        """Arriving members of the group by domain."""
        by_domain: dict[int, set[int]] = defaultdict(set)
        for move in self.arriving.get(group, ()):
            if zone.of_host[move.target] >= 0:
                by_domain[zone.of_host[move.target]].add(move.item)
        return by_domain

    def broken(self, row: int, text: str, move: Move | None = None) -> Violation:
        """The violation of a limit."""
        name = self.reading.problem.limits.names[row] or f"row {row}"
        item, host = (move.item, move.target) if move is not None else (NONE, NONE)
        return Violation(
            "limit", f"limit {quoted(name)}: {text} {wording(self.wave)}", item, host, self.wave
        )

    def lacking(self, row: int, move: Move) -> Violation:
        """The violation of a limit by a host without a needed key."""
        problem = self.reading.problem
        item, host = problem.items.names[move.item], problem.hosts.names[move.target]
        return self.broken(
            row, f"{quoted(item)} enters host {quoted(host)}, which lacks the topology key", move
        )

    def place(self, key: int, domain: int) -> str:
        """A domain in words."""
        where = self.reading.problem.where
        if key == NONE:
            return "the cluster"
        return f"{where.keys[key]} {quoted(where.domain_names[key][domain])}"


def limit_violations(
    reading: Reading,
    seating: Seating,
    arriving: Sequence[Move],
    leaving: AbstractSet[int],
    wave: int,
) -> Iterator[Violation]:
    """Broken limits, of those that an arriving item touches.

    Parameters
    ----------
    reading, seating
        The tables, and who sits where before (or already with) the arrivals.
    arriving
        Moves with a target.
    leaving
        Items that are off their host at some moment.
    wave
        Index of the wave, for the texts.
    """
    by_group: dict[int, list[Move]] = defaultdict(list)
    for move in arriving:
        for group in seating.groups_of[move.item]:
            by_group[group].append(move)
    scene = _Scene(reading, seating, by_group, leaving, wave)
    for row in sorted({row for group in by_group for row in reading.rows_of.get(group, ())}):
        yield from _READINGS[reading.limit_kind[row]](scene, row)


def _max(scene: _Scene, row: int) -> Iterator[Violation]:
    key, counted = scene.reading.limit_key[row], scene.reading.counted[row]
    zone, bound = scene.reading.key_zone(key), scene.reading.bound[row]
    census = scene.seating.census(counted, zone)
    for domain, entering in scene.entered(counted, zone).items():
        total = _with(census.inside(domain), entering)
        if total > bound:
            text = f"{total} items in {scene.place(key, domain)}, at most {bound},"
            yield scene.broken(row, text)


def _conflict(scene: _Scene, row: int) -> Iterator[Violation]:
    key = scene.reading.limit_key[row]
    groups = scene.reading.subject[row], scene.reading.counted[row]
    zone = scene.reading.key_zone(key)
    names = scene.reading.problem.items.names
    seen: set[int] = set()
    for mine, theirs in (groups, groups[::-1]):
        census, entering = scene.seating.census(theirs, zone), scene.entered(theirs, zone)
        for move in scene.arriving.get(mine, ()):
            domain = zone.of_host[move.target]
            if domain < 0 or move.item in seen:
                continue
            others = chain(census.inside(domain), entering.get(domain, ()))
            other = next((one for one in others if one != move.item), None)
            if other is not None:
                seen.add(move.item)
                text = (
                    f"{quoted(names[move.item])} may not share {scene.place(key, domain)} "
                    f"with {quoted(names[other])}"
                )
                yield scene.broken(row, text, move)


def _require(scene: _Scene, row: int) -> Iterator[Violation]:
    reading, key = scene.reading, scene.reading.limit_key[row]
    zone = reading.key_zone(key)
    census = scene.seating.census(reading.counted[row], zone)
    for move in scene.arriving.get(reading.subject[row], ()):
        domain, item = zone.of_host[move.target], move.item
        company = (one for one in census.inside(domain) if one != item and one not in scene.leaving)
        if domain < 0:
            yield scene.lacking(row, move)
        elif next(company, None) is None and not (
            reading.self_counts[row] and _starts_together(scene, row, move)
        ):
            name = quoted(reading.problem.items.names[item])
            text = f"{name} finds nobody it needs in {scene.place(key, domain)}"
            yield scene.broken(row, text, move)


def _starts_together(scene: _Scene, row: int, move: Move) -> bool:
    """Whether no other counted item sits anywhere yet, and all that arrive join this one."""
    reading, counted = scene.reading, scene.reading.counted[row]
    keys = reading.bundle_keys(row)
    zone = reading.any_zone(keys)
    present = scene.seating.census(counted, zone).inside(0)
    if len(present) > (move.item in present):
        return False
    return all(
        reading.domain[key][other.target] == reading.domain[key][move.target]
        for other in scene.arriving.get(counted, ())
        if zone.of_host[other.target] >= 0
        for key in keys
    )


def _skew(scene: _Scene, row: int) -> Iterator[Violation]:
    reading, key = scene.reading, scene.reading.limit_key[row]
    keys, zone = reading.bundle_keys(row), reading.spread_zone(row)
    census = scene.seating.census(reading.counted[row], zone)
    entering = scene.entered(reading.counted[row], zone)
    least: int | None = None
    for move in scene.arriving.get(reading.subject[row], ()):
        if any(reading.domain[one][move.target] < 0 for one in keys):
            yield scene.lacking(row, move)
            continue
        if not zone.domains:
            continue
        least = _smallest(scene, row, zone) if least is None else least
        domain = reading.domain[key][move.target]
        inside, arriving = census.inside(domain), entering.get(domain, set())
        others = _with(inside, arriving) - (move.item in inside or move.item in arriving)
        total = others + reading.self_counts[row]
        if total - least > reading.bound[row]:
            name = quoted(reading.problem.items.names[move.item])
            text = (
                f"with {name} the count in {scene.place(key, domain)} is {total}, the smallest is "
                f"{least}, at most {reading.bound[row]} apart,"
            )
            yield scene.broken(row, text, move)


def _smallest(scene: _Scene, row: int, zone: Zone) -> int:
    """The smallest count of any domain once all that leave are gone.

    An entering item that is seated in the domain it enters may count here: were that domain the
    smallest without it, one more item would still be allowed, because a bound is at least 1.
    """
    if len(zone.domains) < scene.reading.min_domains[row]:
        return 0
    counted = scene.reading.counted[row]
    gone = Counter(
        zone.of_host[scene.seating.host[item]]
        for item in scene.leaving
        if counted in scene.seating.groups_of[item]
    )
    return scene.seating.census(counted, zone).smallest(gone)


def _with(present: set[int], entering: set[int]) -> int:
    """How many items are in either; does not copy the larger set."""
    return len(present) + len(entering - present)


_READINGS = {
    int(LimitKind.MAX): _max,
    int(LimitKind.SKEW): _skew,
    int(LimitKind.CONFLICT): _conflict,
    int(LimitKind.REQUIRE): _require,
}
