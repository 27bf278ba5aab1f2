"""Kubernetes-like clusters of any size, in which pending pods fit only after moves.

Nodes come in types and zones, one pool is tainted. Owners of equal pods fill them, one pod of an
owner per node, until every node has at most a little room, less than any pending pod asks for;
together the nodes have room enough. Some owners keep their pods apart, some spread them over the
zones, some have a disruption budget, some pods are pinned. Everything is drawn from the seed, in
numpy, so that 5,000 nodes take seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.errors import ProblemError
from optsched.limits import Budgets, Limit, LimitKind, Where
from optsched.problem import Hosts, Items, PlacementProblem

MIB_PER_MILLI = 2  # memory that goes with a milli-CPU in fillers and pending pods
# Name, share in percent, milli-CPU and MiB that pods may ask for.
TYPES = (
    ("general", 60, 7900, 29_000),
    ("large", 20, 15_800, 59_000),
    ("memory", 12, 7900, 60_000),
    ("batch", 8, 15_800, 59_000),
)
MEMORY, BATCH = 2, 3
MAX_PODS = 110
LARGEST_PENDING = 7000  # still fits on an empty node of the smallest type
CPU_SIZES = np.array([1, 2, 2, 3, 4, 4, 6, 8])  # relative
MEMORY_RATIOS = np.array([1, 2, 2, 3, 4])  # MiB per milli-CPU
REPLICAS = np.array([1, 2, 2, 3, 3, 3, 4, 5, 6, 8, 12, 20])
REASONS = ("it uses a local volume", "an annotation forbids it")
ANYWHERE, ON_MEMORY, TOLERANT = range(3)  # rows of eligibility


@dataclass(frozen=True)
class Mix:
    """Shares of owners in percent: kept apart, spread over zones, with a budget, pinned."""

    apart: int = 10
    spread: int = 10
    budget: int = 40
    pinned: int = 10


def cluster(
    seed: int,
    *,
    nodes: int = 50,
    pods_per_node: int = 20,
    pending: int | None = None,
    usage: int = 90,
    tiers: int = 3,
    zones: int = 3,
    mix: Mix | None = None,
) -> PlacementProblem:
    """Draw a cluster.

    Parameters
    ----------
    seed
        Same seed and sizes, same problem.
    nodes, pods_per_node
        Their number, and about how many pods a node holds, 2 to 100.
    pending
        Pods without a node; one for 25 nodes by default.
    usage
        Percent of the CPU that running pods ask for, about; 80 to 98.
    tiers, zones
        Their numbers.
    mix
        What owners ask for.

    Raises
    ------
    ProblemError
        A size is out of range.
    """
    _check("nodes", nodes, 1, 1 << 20)
    _check("pods_per_node", pods_per_node, 2, 100)
    _check("usage", usage, 80, 98)
    _check("tiers", tiers, 1, 100)
    _check("zones", zones, 1, 100)
    fill = _Fill(np.random.default_rng(seed), nodes, zones, tiers, mix or Mix())
    room = fill.free[:, 0].mean()
    # Fillers leave two thirds of this on a node on average; no pending pod is as small.
    largest_hole = int(1.5 * room * (100 - usage) / 100)
    mean = int(room * usage / 100 / pods_per_node)
    fill.owners_until(mean, max(1, nodes * pods_per_node * 85 // 100))
    fill.fillers_until(largest_hole)
    fill.pending(max(1, nodes // 25) if pending is None else pending, largest_hole)
    return fill.problem(f"cluster-{nodes}x{pods_per_node}-{seed}")


def _check(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ProblemError(f"{name} is {value}; give {low} to {high}")


@dataclass
class _Owner:
    """Pods of one owner.

    Attributes
    ----------
    hosts
        Node of each pod, -1: pending.
    """

    demand: tuple[int, int, int]
    hosts: Ints
    tier: int
    where: int
    apart: bool = False
    spread: bool = False
    budget: int = NONE
    pinned: int = NONE


@dataclass
class _Fill:
    """A cluster while it is filled."""

    rng: np.random.Generator
    nodes: int
    zones: int
    tiers: int
    mix: Mix
    owners: list[_Owner] = field(default_factory=list)

    def __post_init__(self) -> None:
        shares = np.array([share for _, share, _, _ in TYPES]) / 100
        self.type = np.sort(self.rng.choice(len(TYPES), self.nodes, p=shares))
        self.zone = np.arange(self.nodes) % self.zones
        sizes = np.array([(cpu, memory, MAX_PODS) for *_, cpu, memory in TYPES])
        self.capacity = sizes[self.type].astype(np.int64)
        self.free = self.capacity.copy()
        self.allowed = np.stack(
            [self.type != BATCH, self.type == MEMORY, np.ones(self.nodes, np.bool_)]
        )

    def owners_until(self, mean: int, pods: int) -> None:
        """Place owners whose pods ask for `mean` milli-CPU, until there are about so many pods."""
        unit = mean / float(CPU_SIZES.mean())
        sizes = (self.rng.choice(CPU_SIZES, pods) * unit).astype(np.int64) // 10 * 10
        sizes = np.maximum(10, sizes)
        memory = sizes * self.rng.choice(MEMORY_RATIOS, pods)
        replicas = self.rng.choice(REPLICAS, pods).tolist()
        rows = self.rng.choice(3, pods, p=(0.8, 0.05, 0.15)).tolist()
        placed = misses = 0
        for cpu, need, count, row in zip(
            sizes.tolist(), memory.tolist(), replicas, rows, strict=True
        ):
            owner = self._owner((cpu, need, 1), row)
            owner.hosts = self._choose(owner, count)
            if len(owner.hosts):
                self._take(owner)
            placed += len(owner.hosts)
            misses = 0 if len(owner.hosts) else misses + 1
            if placed >= pods or misses >= 50:
                return

    def fillers_until(self, hole: int) -> None:
        """Fill every node until it has at most `hole` milli-CPU, or as little memory, left."""
        while True:
            room = (self.free[:, 0] > hole) & (self.free[:, 1] > hole * MIB_PER_MILLI)
            for where, inside in ((ANYWHERE, self.type != BATCH), (TOLERANT, self.type == BATCH)):
                at = self.rng.permutation(np.flatnonzero(room & inside))
                for start in range(0, len(at), 6):
                    milli = max(1, hole * int(self.rng.integers(3, 7)) // 10)
                    owner = self._owner((milli, milli * MIB_PER_MILLI, 1), where)
                    owner.hosts, owner.spread = at[start : start + 6], False
                    self._take(owner)
            if not room.any():
                return

    def pending(self, pods: int, hole: int) -> None:
        """Add pods that ask for more than any node has left, in one piece."""
        while pods > 0:
            milli = min(LARGEST_PENDING, max(hole + 1, hole * int(self.rng.integers(11, 21)) // 10))
            owner = self._owner((milli, milli * MIB_PER_MILLI, 1), ANYWHERE)
            count = min(pods, int(self.rng.integers(1, 4)))
            owner.hosts, owner.pinned, owner.budget = np.full(count, NONE), NONE, NONE
            self.owners.append(owner)
            pods -= count

    def _owner(self, demand: tuple[int, int, int], where: int) -> _Owner:
        dice = self.rng.integers(0, 100, 4)
        apart = bool(dice[0] < self.mix.apart)
        return _Owner(
            demand,
            np.zeros(0, np.int64),
            int(self.rng.integers(0, self.tiers)),
            where,
            apart,
            not apart and bool(dice[1] < self.mix.spread),
            int(self.rng.integers(0, 3)) if dice[2] < self.mix.budget else NONE,
            int(self.rng.integers(0, len(REASONS))) if dice[3] < self.mix.pinned else NONE,
        )

    def _choose(self, owner: _Owner, count: int) -> Ints:
        """Up to `count` different nodes with room, the emptiest of some drawn at random."""
        draw = np.unique(self.rng.integers(0, self.nodes, 8 * count))
        fits = self.allowed[owner.where, draw] & (self.free[draw] >= owner.demand).all(axis=1)
        good: Ints = draw[fits]
        good = good[np.argsort(-self.free[good, 0] / self.capacity[good, 0], kind="stable")]
        if not owner.spread:
            return good[:count]
        by_zone = [good[self.zone[good] == zone] for zone in range(self.zones)]
        each = min(*(len(one) for one in by_zone), -(-count // self.zones)) if good.size else 0
        even: Ints = np.concatenate([one[:each] for one in by_zone])
        return even

    def _take(self, owner: _Owner) -> None:
        self.free[owner.hosts] -= owner.demand
        self.owners.append(owner)

    def problem(self, name: str) -> PlacementProblem:
        """The tables."""
        sizes = [len(owner.hosts) for owner in self.owners]
        number = np.repeat(np.arange(len(self.owners)), sizes)
        first = np.concatenate([[0], np.cumsum(sizes)])
        members = [np.arange(first[at], first[at + 1]) for at in range(len(self.owners))]
        names = [f"app-{at:05d}" for at in range(len(self.owners))]
        pinned = np.array([owner.pinned for owner in self.owners])[number]
        hosts = Hosts.of(
            self.capacity,
            names=[
                f"{TYPES[kind][0]}-{chr(97 + zone) if zone < 26 else zone}-{at:04d}"
                for at, (kind, zone) in enumerate(zip(self.type, self.zone, strict=True))
            ],
        )
        items = Items.of(
            np.array([owner.demand for owner in self.owners], dtype=np.int64)[number],
            names=[f"{names[at]}-{k}" for at, size in enumerate(sizes) for k in range(size)],
            host0=np.concatenate([owner.hosts for owner in self.owners]),
            tier=np.array([owner.tier for owner in self.owners])[number],
            owner=number,
            movable=pinned < 0,
            evictable=pinned < 0,
            pinned_by=pinned,
        )
        where, limits = self._where(hosts, items, names, members, number)
        guarded = [at for at, owner in enumerate(self.owners) if owner.budget >= 0]
        return PlacementProblem.of(
            hosts,
            items,
            name=name,
            resources=("cpu", "memory", "pods"),
            where=where,
            limits=limits,
            budgets=Budgets.of(
                [members[at] for at in guarded],
                [self.owners[at].budget for at in guarded],
                names=[names[at] for at in guarded],
            ),
            tiers=[f"tier {tier}" for tier in range(self.tiers)],
            owners=names,
            pin_reasons=REASONS,
        )

    def _where(
        self, hosts: Hosts, items: Items, names: list[str], members: list[Ints], number: Ints
    ) -> tuple[Where, list[Limit]]:
        """Eligibility, zones, and the limits of owners that keep apart or spread their pods."""
        excluded = np.zeros((3, self.nodes), np.uint32)
        excluded[[ANYWHERE, ON_MEMORY]] |= (self.type == BATCH).astype(np.uint32)
        excluded[ON_MEMORY] |= (self.type != MEMORY).astype(np.uint32) << 1
        limited = [at for at, owner in enumerate(self.owners) if owner.apart or owner.spread]
        where = Where.of(
            hosts,
            items,
            excluded=excluded,
            item_eligible=np.array([owner.where for owner in self.owners])[number],
            rule_names=("taints", "node affinity"),
            keys=("zone",),
            domain=self.zone[None, :],
            domain_names=[[f"zone-{zone}" for zone in range(self.zones)]],
            groups=[members[at] for at in limited],
            group_names=[names[at] for at in limited],
        )
        limits = []
        for group, at in enumerate(limited):
            if self.owners[at].apart:
                kind, key, words = LimitKind.CONFLICT, 0, "pods apart"
            else:
                kind, key, words = LimitKind.SKEW, 1, "zones even"
            skew = kind is LimitKind.SKEW
            limits.append(
                Limit(
                    kind=kind,
                    key=key,
                    subject=group,
                    counted=group,
                    bound=int(skew),
                    self_counts=skew,
                    name=f"{names[at]}: {words}",
                )
            )
        return where, limits
