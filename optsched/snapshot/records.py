"""The shape of a snapshot file: records as they are written, before any name is resolved.

Everything is named. What has a default may be left out: an item with no `host` is pending, one
without `where` may go anywhere, a missing amount is 0. Amounts are integers in the unit of their
resource (milli-CPU, bytes, milli-GPU), whatever the writer chose, but one unit per resource.

Items with much in common name a `class`; what the item itself says wins over its class.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from optsched.levels import TermKind

FORMAT = "optsched/snapshot"
VERSIONS = (1,)
KINDS = ("placement",)

# Any JSON reader keeps integers up to 2**53 exactly.
Amount = Annotated[int, Meta(ge=0, le=1 << 53)]
Positive = Annotated[int, Meta(ge=1, le=1 << 53)]
Amounts = dict[str, Amount]


class Record(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, gc=False):
    """Base of all records: unknown fields are refused, defaults are not written."""


class Cell(Record):
    """Equal cells of one host, `count` of them; items name them by position from 0."""

    capacity: Amounts = {}
    fixed_use: Amounts = {}
    kind: str = "cell"
    count: Annotated[int, Meta(ge=1, le=1 << 20)] = 1


class Host(Record):
    """What has capacity. `domains` maps topology keys to the domain the host is in."""

    name: str
    capacity: Amounts = {}
    fixed_use: Amounts = {}
    cost: Amount = 1
    drain: bool = False
    moves_in: Amount | None = None
    moves_out: Amount | None = None
    domains: dict[str, str] = {}
    cells: list[Cell] = []


class Traits(Record, kw_only=True):
    """What an item may share with others of its class; None: not given here.

    `tier` is a name from `tiers`, or a number from 0, the highest. `where` names a row of
    `eligibility`. `pinned_by` says why an item that is not movable is not.
    """

    name: str
    demand: Amounts | None = None
    cells_needed: Annotated[int, Meta(ge=0, le=1 << 20)] | None = None
    cell_demand: Amounts | None = None
    cell_kind: str | None = None
    tier: str | Annotated[int, Meta(ge=0, le=1 << 20)] | None = None
    weight: Positive | None = None
    owner: str | None = None
    gang: str | None = None
    where: str | None = None
    movable: bool | None = None
    evictable: bool | None = None
    may_evict_others: bool | None = None
    lets_go_first: bool | None = None
    occupies: bool | None = None
    pinned_by: str | None = None


class ItemClass(Traits):
    """Traits that items refer to by `class`."""


class Item(Traits, kw_only=True):
    """What is placed; `cells` are positions on its host."""

    class_: str | None = msgspec.field(default=None, name="class")
    host: str | None = None
    cells: list[Amount] = []


class HostList(Record):
    """Some hosts: `only` those named, or all but those in `not`."""

    name: str
    only: list[str] | None = None
    not_: list[str] | None = msgspec.field(default=None, name="not")


class Eligibility(Record):
    """Where items with the same requirements may go: hosts that all rules admit."""

    name: str
    rules: list[HostList] = []


class Group(Record):
    """Items selected together, for limits."""

    name: str
    items: list[str]


class Limit(Record, kw_only=True):
    """A rule over the domains of a topology key (no key: the whole cluster is one domain).

    It binds the items of the group `subject` and counts those of `counted` (none named: the same).
    `host_set` names the hosts that make and count the domains of a skew limit.
    """

    name: str = ""
    kind: Literal["max", "skew", "conflict", "require"]
    subject: str
    counted: str | None = None
    key: str | None = None
    bound: Amount = 0
    min_domains: Amount = 0
    host_set: str | None = None
    bundle: Amount | None = None
    self_counts: bool = False


class Budget(Record):
    """How many of `items` may be disturbed, per wave or in the whole plan."""

    name: str
    items: list[str]
    allowed: Amount
    scope: Literal["wave", "plan"] = "wave"


class InflightMove(Record):
    """A move that already runs: `source` still holds room, the item's `host` is its target."""

    item: str
    source: str


class Key(Record):
    """A topology key, with the order of its domains."""

    name: str
    domains: list[str]


class ObjectiveTerm(Record):
    """One weighted count; no `tier`: all tiers.

    Fragments are free units of the cell resource `resource` beyond the blocks that a host holds; a
    block takes `size` units on each of `cells` cells.
    """

    kind: TermKind
    weight: Positive = 1
    tier: str | None = None
    resource: str | None = None
    size: Positive = 1
    cells: Positive = 1


class ObjectiveLevel(Record):
    """A weighted sum; all levels before it are worth infinitely more.

    Values up to `goal` are equally good; only where all terms count fragments.
    """

    name: str
    terms: list[ObjectiveTerm]
    goal: Amount = 0


class Snapshot(Record, kw_only=True):
    """A placement problem.

    The lists of names (`resources` to `pin_reasons`) fix the order of the tables; one that is
    missing holds what the records mention, in order of appearance.
    """

    format: Literal["optsched/snapshot"]
    version: Literal[1]
    kind: Literal["placement"]
    name: str = "problem"
    warnings: list[str] = []
    order: str = "tier"
    objective: list[ObjectiveLevel] | None = None
    evict: Literal["never", "lower", "any"] = "never"
    protect_higher: bool = False
    max_moves: Amount | None = None
    owner_at_once: Amount | None = None
    cell_choice: Literal["ours", "foreign"] = "ours"
    resources: list[str] | None = None
    during: list[str] = []
    cell_resources: list[str] | None = None
    cell_kinds: list[str] | None = None
    tiers: list[str] | None = None
    keys: list[Key] | None = None
    owners: list[str] | None = None
    gangs: list[str] | None = None
    pin_reasons: list[str] | None = None
    rules: list[str] | None = None
    hosts: list[Host]
    eligibility: list[Eligibility] = []
    classes: list[ItemClass] = []
    items: list[Item]
    groups: list[Group] = []
    host_sets: list[HostList] = []
    limits: list[Limit] = []
    budgets: list[Budget] = []
    inflight: list[InflightMove] = []
