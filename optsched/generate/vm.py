"""VM snapshots like those that VM rescheduling is measured on, of any size and load.

A base is a nearly full set of PMs: two NUMA nodes of 44 cores and 184,388 MiB each, and VMs in the
mix of a published production cluster (counts per class; the placements are our own draw). From a
base, our own or a file's, two recipes lead to snapshots with room to gain:

- deletion: every VM leaves with the probability `drop`;
- calibrated: after that, VMs of shapes drawn from the base's list enter by best fit until no more
  than `free` cores are left. This reproduces the published initial rate of about .55.

Where that is not reached, the problem's warnings say what is.

Best fit is what a production scheduler does: a VM on one node takes the node with the fewest free
cores that has room, a split VM the PM with the fewest in all.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from optsched.arrays import NONE, Bools, Ints
from optsched.errors import ProblemError
from optsched.levels import Level, Term, TermKind
from optsched.limits import Limit, LimitKind, Where
from optsched.problem import Cells, Hosts, Items, PlacementProblem
from optsched.rates import LEVEL

CORES, MIB = 44, 184_388  # of a NUMA node; a PM has two
BLOCK = 16
# (NUMA nodes, cores of each) and how many of them 279 PMs hold.
CLASSES = (
    (2, 44, 4),
    (2, 32, 130),
    (2, 16, 50),
    (2, 8, 46),
    (2, 4, 57),
    (2, 2, 3),
    (1, 32, 61),
    (1, 16, 184),
    (1, 8, 311),
    (1, 4, 906),
    (1, 2, 337),
)
CLASSES_FOR = 279
MEMORY = {"slack": (2,), "tight": (4,), "mixed": (1, 2, 2, 4, 8)}  # GiB per core, equally likely
BASE_USAGE, USAGE = 0.943, {"low": 0.70, "middle": 0.80, "high": 0.907}
KEPT = 0.815  # share of the cores in use that VMs of the base keep: FR16 of 279 PMs is then .55
FAILURES = 2000  # insertions in a row that may fail before the recipe stops


@dataclass
class Room:
    """PMs and the VMs on them while they are filled.

    Attributes
    ----------
    free
        (C, 2) free cores and MiB of every cell.
    pairs
        (P, W) the cells of every PM, -1 where it has fewer than W.
    shapes
        (V, 3) cells needed, and cores and MiB of each, of every VM so far.
    cells
        Per VM, its cells; empty: it has left.
    """

    host: Ints
    free: Ints
    pairs: Ints
    shapes: list[tuple[int, int, int]]
    cells: list[tuple[int, ...]]

    @classmethod
    def of(cls, cells: Cells, hosts: int) -> Room:
        """Empty PMs."""
        counts = np.bincount(cells.host, minlength=hosts)
        pairs = np.full((hosts, int(counts.max(initial=1))), NONE, np.int64)
        first = np.cumsum(counts) - counts
        pairs[cells.host, np.arange(len(cells)) - first[cells.host]] = np.arange(len(cells))
        return cls(cells.host, cells.capacity - cells.fixed_use, pairs, [], [])

    def add(self, shape: tuple[int, int, int], cells: tuple[int, ...]) -> None:
        """A VM of this shape on these cells."""
        self.shapes.append(shape)
        self.cells.append(cells)
        self.free[list(cells)] -= shape[1:]

    def leave(self, vm: int) -> None:
        """The VM goes."""
        self.free[list(self.cells[vm])] += self.shapes[vm][1:]
        self.cells[vm] = ()

    def best_fit(self, shape: tuple[int, int, int]) -> tuple[int, ...]:
        """The tightest cells with room; none: ()."""
        fits, slack = self._fitting(shape)
        if not fits.any():
            return ()
        return self._cells(shape, int(np.where(fits, slack, np.iinfo(np.int64).max).argmin()))

    def any_fit(self, shape: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, ...]:
        """Cells with room, drawn; none: ()."""
        fitting = np.flatnonzero(self._fitting(shape)[0])
        return self._cells(shape, int(rng.choice(fitting))) if len(fitting) else ()

    def spread(self, shape: tuple[int, int, int], rng: np.random.Generator) -> tuple[int, ...]:
        """The emptiest cells, or where these cannot hold a block any more, any that fit."""
        fits, slack = self._fitting(shape)
        most = int(np.where(fits, slack, NONE).argmax()) if fits.any() else NONE
        if most >= 0 and slack[most] >= BLOCK * shape[0]:
            return self._cells(shape, most)
        return self.any_fit(shape, rng)

    def _fitting(self, shape: tuple[int, int, int]) -> tuple[Bools, Ints]:
        """Which cells, or PMs for split VMs, have room, and their free cores."""
        room = (self.free[:, 0] >= shape[1]) & (self.free[:, 1] >= shape[2])
        if shape[0] == 1:
            return room, self.free[:, 0]
        there = self.pairs >= 0
        fits = (room[self.pairs] & there).sum(axis=1) >= shape[0]
        return fits, np.where(there, self.free[self.pairs, 0], 0).sum(axis=1)

    def _cells(self, shape: tuple[int, int, int], at: int) -> tuple[int, ...]:
        if shape[0] == 1:
            return (at,)
        own = self.pairs[at][self.pairs[at] >= 0]
        fits = (self.free[own] >= shape[1:]).all(axis=1)
        return tuple(own[fits][: shape[0]].tolist())


def snapshot(
    seed: int,
    *,
    pms: int = 279,
    load: str = "high",
    usage: float | None = None,
    free: int | None = None,
    memory: str = "slack",
    drop: float | None = None,
    refill: bool = True,
    apart: int = 0,
    base: PlacementProblem | None = None,
) -> PlacementProblem:
    """Draw a snapshot.

    Parameters
    ----------
    seed
        Same seed and options, same problem.
    pms
        PMs; 279 and the other defaults are like the published Medium data set. Not used with
        `base`.
    load, usage
        "low", "middle" or "high" (70, 80 and 90.7 % of the cores in use), or a share of our own.
    free
        The free cores to insert down to, in place of a share in use.
    memory
        "slack" (2 GiB per core), "tight" (4) or "mixed" (1 to 8). Not used with `base`.
    drop
        Probability with which each VM of the base leaves; by default such that VMs from the base
        and new ones use cores in the ratio of the calibrated recipe.
    refill
        Whether VMs then enter up to the usage (calibrated), or not (deletion).
    apart
        Anti-affinity groups, of two to four VMs each that sit on different PMs.
    base
        A VM snapshot to start from, in place of one drawn.

    Raises
    ------
    ProblemError
        A size is out of range, the base is no VM snapshot, or there are too few VMs on different
        PMs for so many groups.
    """
    if load not in USAGE or memory not in MEMORY:
        raise ProblemError(f"load is one of {', '.join(USAGE)}, memory of {', '.join(MEMORY)}")
    target = USAGE[load] if usage is None else usage
    if not 0.05 <= target <= 0.97:
        raise ProblemError(f"a usage of {target:g} is out of range; give 0.05 to 0.97")
    if free is not None and (usage is not None or not refill):
        raise ProblemError("free cores are given in place of a usage, and for insertion alone")
    if drop is not None and not 0 <= drop <= 1:
        raise ProblemError(f"a share of {drop:g} VMs cannot leave; give 0 to 1")
    rng = np.random.default_rng(seed)
    if base is None:
        base = _base(rng, pms, memory)
    room = _taken(base)
    total = int((base.cells.capacity - base.cells.fixed_use)[:, 0].sum())
    if free is not None:
        if not 0 <= free <= total:
            raise ProblemError(f"{free} cores cannot be free; give 0 to {total}")
        target = 1 - free / max(total, 1)
    wanted = round((1 - target) * total)
    shapes = np.array(room.shapes, dtype=np.int64).reshape(-1, 3)
    if drop is None:
        used = 1 - int(room.free[:, 0].sum()) / max(total, 1)
        drop = min(1.0, max(0.0, 1 - KEPT * target / used)) if refill and used else 0.10
    for vm in np.flatnonzero(rng.random(len(shapes)) < drop).tolist():
        room.leave(vm)
    short = _refill(rng, room, shapes, wanted) if refill else ""
    name = f"vm-{len(base.hosts)}-{'calibrated' if refill else 'deletion'}-{seed}"
    drawn = _problem(rng, base, room, name, apart)
    return drawn.replace(warnings=(short,)) if short else drawn


def _base(rng: np.random.Generator, pms: int, memory: str) -> PlacementProblem:
    """PMs, nearly full, in which no VM of 16 cores finds room: what is free is free in bits."""
    if not 1 <= pms <= 1 << 17:
        raise ProblemError(f"{pms} PMs; give 1 to 131,072")
    cells = Cells.of(
        np.repeat(np.arange(pms), 2),
        np.tile([[CORES, MIB]], (2 * pms, 1)),
        resources=("cores", "memory_mib"),
        kinds=("NUMA node",),
    )
    room, spare = Room.of(cells, pms), 2 * CORES * pms * (1 - BASE_USAGE)
    for nodes, cores, count in CLASSES:
        wanted = max(1, round(count * pms / CLASSES_FOR))
        for gib in rng.choice(MEMORY[memory], wanted).tolist():
            shape = nodes, cores, min(cores * gib, MIB >> 10) << 10
            own = room.any_fit(shape, rng) if cores >= BLOCK else room.spread(shape, rng)
            if own and room.free[:, 0].sum() - nodes * cores >= spare:
                room.add(shape, own)
    hosts = Hosts.of(np.zeros((pms, 0), np.int64), names=[f"pm-{at}" for at in range(pms)])
    objective = (Level(LEVEL, (Term(TermKind.FRAGMENTS, size=BLOCK),)),)
    return PlacementProblem.of(
        hosts,
        _items(room),
        name="base",
        resources=(),
        cells=cells,
        tiers=("VM",),
        objective=objective,
        order="fr16",
    )


def _taken(base: PlacementProblem) -> Room:
    """The VMs of a problem."""
    items, cells = base.items, base.cells
    if len(cells.resources) != 2 or base.resources or (items.host0 < 0).any():
        raise ProblemError(
            f"{base.name[:80]!r} is no VM snapshot: PMs with NUMA nodes of cores and memory, and "
            "VMs that all run, are needed"
        )
    if not len(items):
        raise ProblemError(f"{base.name[:80]!r} has no VMs to draw from")
    room = Room.of(cells, len(base.hosts))
    shapes = np.column_stack([items.cells_needed, items.cell_demand]).tolist()
    for shape, own in zip(shapes, items.cells0.tolist(), strict=True):
        room.add(tuple(shape), tuple(cell for cell in own if cell >= 0))
    return room


def _refill(rng: np.random.Generator, room: Room, shapes: Ints, free: int) -> str:
    """Insert VMs by best fit until no more than `free` cores are free; in words, what is not."""
    left, failures = int(room.free[:, 0].sum()), 0
    if left < free:
        return (
            f"{left} cores are free, not {free}: too few VMs of the base left; let a larger share "
            "leave"
        )
    while len(shapes) and left > free and failures < FAILURES:
        drawn = shapes[int(rng.integers(len(shapes)))].tolist()
        shape = (drawn[0], drawn[1], drawn[2])
        own = room.best_fit(shape)
        failures = 0 if own else failures + 1
        if own:
            room.add(shape, own)
            left -= shape[0] * shape[1]
    if left <= free:
        return ""
    return (
        f"{left} cores are free, not {free}: {FAILURES} VMs in a row found no room; ask for more "
        "free cores, or let a larger share of the VMs leave"
    )


def _items(room: Room) -> Items:
    """The VMs that are there, named in order."""
    there = [vm for vm, own in enumerate(room.cells) if own]
    wide = max((len(room.cells[vm]) for vm in there), default=0)
    cells0 = [(*room.cells[vm], *[NONE] * (wide - len(room.cells[vm]))) for vm in there]
    cells = np.array(cells0, dtype=np.int64).reshape(len(there), wide)
    shapes = np.array([room.shapes[vm] for vm in there], dtype=np.int64).reshape(-1, 3)
    return Items.of(
        np.zeros((len(there), 0), np.int64),
        names=[f"vm-{at}" for at in range(len(there))],
        cells_needed=shapes[:, 0],
        cell_demand=shapes[:, 1:],
        host0=room.host[cells[:, 0]] if wide else np.zeros(0, np.int64),
        cells0=cells,
        evictable=False,
        may_evict_others=False,
        lets_go_first=False,
    )


def _problem(
    rng: np.random.Generator, base: PlacementProblem, room: Room, name: str, apart: int
) -> PlacementProblem:
    """The base with other VMs; its topology is kept, its limits and pins are not."""
    items = _items(room)
    groups = _apart(rng, items, apart)
    named = [f"anti-affinity group {at}" for at in range(len(groups))]
    where = Where.of(
        base.hosts,
        items,
        keys=base.where.keys[1:],
        domain=base.where.domain[1:],
        domain_names=base.where.domain_names[1:],
        groups=groups,
        group_names=named,
    )
    limits = [
        Limit(LimitKind.CONFLICT, key=0, subject=at, counted=at, name=one)
        for at, one in enumerate(named)
    ]
    hosts = replace(base.hosts, drain=np.zeros_like(base.hosts.drain))
    return PlacementProblem.of(
        hosts,
        items,
        name=name,
        resources=(),
        cells=base.cells,
        where=where,
        limits=limits,
        tiers=("VM",),
        objective=base.objective,
        order=base.order,
    )


def _apart(rng: np.random.Generator, items: Items, groups: int) -> list[list[int]]:
    """Disjoint groups of VMs, no two of one group on the same PM."""
    found: list[list[int]] = []
    group: list[int] = []
    hosts = len(np.unique(items.host0))
    size = min(int(rng.integers(2, 5)), hosts)
    left, known = rng.permutation(len(items)).tolist(), -1
    while known < len(found) < groups:
        known, skipped = len(found), []
        for vm in left:
            if len(found) >= groups:
                break
            if items.host0[vm] in items.host0[group]:
                skipped.append(vm)
                continue
            group.append(vm)
            if len(group) == size:
                found.append(sorted(group))
                group, size = [], min(int(rng.integers(2, 5)), hosts)
        if len(group) > 1 and len(found) < groups:
            found.append(sorted(group))
            group = []
        left = skipped
    found = [one for one in found if len(one) > 1]
    if len(found) < groups:
        raise ProblemError(
            f"{groups} anti-affinity groups of two to four VMs on different PMs cannot be drawn; "
            f"these VMs made {len(found)}: ask for no more, or for more PMs"
        )
    return found
