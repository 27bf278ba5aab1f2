"""The plan table: all that the extender's front end knows of a plan that is being carried out.

The brain publishes a table, the front end answers the scheduler from it, and neither waits for
the other. A table is an immutable snapshot; a new one replaces the old one whole. It travels as a
file in a folder that both processes see (`Board`). The front end looks at the file's stamp in every
request, so that whatever is asked after `publish` returned is answered from the new table; the
acknowledgement tells the brain that a live front end has read it.

Times are milliseconds since 1970 by the wall clock. Every entry has an end that the front end
enforces on its own, so a brain that dies leaves nothing behind. Resources are in the units of
`optsched.kube.requests.in_units` (milli for cpu, bytes for memory, 1 for all else), and every pod
asks for one of "pods".
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from optsched.errors import FormatError

VERSION = 1
NS = 1_000_000  # in a millisecond
SKEW = 5  # seconds that the API server's clock may be behind the brain's
HASH_LABELS = ("pod-template-hash", "controller-revision-hash")
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"

Room = dict[str, int]


def now_ms() -> int:
    """The wall clock."""
    return time.time_ns() // NS


def template_hash(labels: Mapping[str, str] | None) -> str:
    """Which revision of its owner's template a pod was made from; "" where owners do not say."""
    for label in HASH_LABELS:
        if labels and label in labels:
            return labels[label]
    return ""


class Member(msgspec.Struct, frozen=True, gc=False):
    """A pending pod of the plan and the node it is to go to.

    Attributes
    ----------
    node
        Its target.
    deadline
        Until when it waits for that node; later it is a pod like any other.
    attempts
        How many attempts in which the scheduler does not offer the target are waited out.
    open
        False: not yet, because pods that were moved for it are not placed again (see the third rule
        of `guard`). The brain publishes again when they are.
    """

    node: str
    deadline: int
    attempts: int = 2
    open: bool = True


class Token(msgspec.Struct, frozen=True, gc=False):
    """The right of one replacement of an evicted pod to the node that the plan chose for it.

    A pod may take it if its controller is `owner`, its `template_hash` is `hash`, `name` and
    `index` are its own where they are given, and it was created at or after `issued`, in whole
    seconds as the API keeps them and with a few to spare, because clocks differ. One token is
    issued for each eviction, so several of one owner are as many rights; a pod takes one. Drop a
    token when a replacement is bound, and when the owner wants none.

    Attributes
    ----------
    uid
        Of the evicted pod; names the token.
    owner
        UID of the controller.
    issued, deadline
        When the eviction was asked for, and until when the token holds.
    name
        Of the pod, for StatefulSets; "" for any.
    index
        Completion index (`INDEX_LABEL`), for indexed Jobs; "" for any.
    known
        UIDs of pods that may not take it: they were there before, though it is so short a time
        that clocks could not tell.
    """

    uid: str
    namespace: str
    owner: str
    node: str
    issued: int
    deadline: int
    hash: str = ""
    name: str = ""
    index: str = ""
    attempts: int = 2
    known: tuple[str, ...] = ()


class Lock(msgspec.Struct, frozen=True, gc=False):
    """A node on which the plan needs room.

    A pod that is not the plan's may enter while its request fits into free - reserved, both
    resource by resource; what is in neither is left to the scheduler.

    Attributes
    ----------
    deadline
        Until when the lock holds.
    free
        Allocatable less what the bound pods ask for, those included that are about to go.
    reserved
        What members and replacements that are not bound yet will take here.
    closed
        True: no other pod at all (host ports, anti-affinity, whole devices).
    without, most
        Where the plan has evicted pods: what would be free without it, and what will be when all of
        them have gone. Empty elsewhere.
    """

    deadline: int
    free: Room
    reserved: Room
    closed: bool = False
    without: Room = {}
    most: Room = {}


class PlanTable(msgspec.Struct, frozen=True):
    """A plan as the front end sees it.

    Attributes
    ----------
    plan
        UID of the PlacementPlan; "" when none is live.
    generation
        Set by `Board.publish`: higher than of any table published there before.
    written, expires
        When it was published, and from when on it counts as empty.
    priority
        Pods of a higher priority than this are not kept out.
    members
        Under the pod's UID.
    locks
        Under the node's name.
    settled
        UIDs of pods whose fate is known: bound (then `free` counts them) or gone. The front end
        stops assuming that they may be on their way to a locked node.
    exempt
        Namespaces whose pods are treated as if no plan were live (paused).
    """

    plan: str = ""
    generation: int = 0
    written: int = 0
    expires: int = 0
    priority: int = 0
    members: dict[str, Member] = {}
    tokens: tuple[Token, ...] = ()
    locks: dict[str, Lock] = {}
    settled: frozenset[str] = frozenset()
    exempt: frozenset[str] = frozenset()
    version: int = VERSION


EMPTY = PlanTable()


class Ack(msgspec.Struct, frozen=True):
    """What the front end tells the brain, at least once in `Board.HEARTBEAT` seconds.

    Attributes
    ----------
    generation, plan
        Of the table it answers from.
    at
        When this was written.
    process
        Of the front end; another number says that it was started anew.
    at_risk
        Locked nodes onto which pods were let that the plan did not reckon with (of higher priority,
        or kept out for too long), in the table's lifetime.
    released
        UIDs of members and tokens that were given up: their node was not offered in time.
    """

    generation: int
    plan: str
    at: int
    process: int
    at_risk: tuple[str, ...] = ()
    released: tuple[str, ...] = ()


_TABLE = msgspec.msgpack.Decoder(PlanTable)
_ACK = msgspec.msgpack.Decoder(Ack)


def encode_table(table: PlanTable) -> bytes:
    """The table as bytes."""
    return msgspec.msgpack.encode(table)


def decode_table(data: bytes) -> PlanTable:
    """The table from bytes; FormatError if they hold none of this version."""
    try:
        table = _TABLE.decode(data)
    except msgspec.MsgspecError as error:
        raise FormatError(f"the plan table cannot be read: {error}") from error
    if table.version != VERSION:
        raise FormatError(f"the plan table has version {table.version}; {VERSION} is understood")
    return table


class Board:
    """Where the brain publishes tables and the front end acknowledges them.

    Each file has one writer and is replaced whole. Measured on 2 shared cores, in memory: a table
    of 16 locked nodes is published in 60 us and read in 18 us, and a look at its stamp costs 2 us.
    A pipe takes 44 us to and fro and would save the look, but not give the certainty that the next
    request is answered from the new table; nor would it outlive either end. Put the folder into
    memory (an emptyDir of medium Memory): on a disk publishing takes four times as long.
    """

    HEARTBEAT = 0.5  # seconds between acknowledgements
    LOOK = 0.02  # seconds between looks of a front end that nobody asks anything

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._table = str(self.folder / "table")
        self._ack = str(self.folder / "ack")

    def publish(self, table: PlanTable) -> PlanTable:
        """Make `table` the current one; returns it with its generation and `written` set."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        before = 0
        with contextlib.suppress(FormatError):  # what cannot be read is replaced
            before = self.read().generation
        now = now_ms()
        table = msgspec.structs.replace(table, generation=max(before + 1, now), written=now)
        write_whole(self._table, encode_table(table), table.generation)
        return table

    def clear(self) -> PlanTable:
        """Publish that no plan is live."""
        return self.publish(EMPTY)

    def read(self) -> PlanTable:
        """The current table, empty if there never was one; FormatError if it cannot be read."""
        try:
            data = Path(self._table).read_bytes()
        except OSError:
            return EMPTY
        return decode_table(data)

    def stamp(self) -> int:
        """The generation of the current table, without reading it; 0 while there is none."""
        try:
            return os.stat(self._table).st_mtime_ns // NS
        except OSError:
            return 0

    def acknowledge(self, ack: Ack) -> None:
        """Say which table the front end answers from."""
        write_whole(self._ack, msgspec.msgpack.encode(ack))

    def ack(self) -> Ack | None:
        """The last acknowledgement, None if there is none; look at its `at` before trusting it."""
        try:
            return _ACK.decode(Path(self._ack).read_bytes())
        except (OSError, msgspec.MsgspecError):
            return None

    def is_acknowledged(self, table: PlanTable) -> bool:
        """Whether a front end has read this very table, and no later one."""
        ack = self.ack()
        return ack is not None and ack.generation == table.generation

    def wait(self, table: PlanTable, seconds: float) -> bool:
        """Wait until the table is acknowledged; False when it was not in time."""
        deadline = time.monotonic() + seconds
        return any(self.is_acknowledged(table) for _ in _ticks(deadline))


def _ticks(deadline: float) -> Iterator[None]:
    while True:
        last = time.monotonic() >= deadline
        yield
        if last:
            return
        time.sleep(0.002)


def write_whole(path: str, data: bytes, modified: int | None = None) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part.

    `modified` (milliseconds) is set, not left to the clock of the file system, whose ticks are so
    long that two tables could carry the same time.
    """
    part = f"{path}.{os.getpid()}.part"
    try:
        with open(part, "wb") as file:
            file.write(data)
        if modified is not None:
            os.utime(part, ns=(modified * NS, modified * NS))
        os.replace(part, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise
