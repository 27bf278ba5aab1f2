"""Cloud balancing: every process on one computer, and the computers in use cost the least.

A published benchmark (OptaPlanner, later Timefold). Costs count only between answers that place
every process, so the levels are: unplaced, then the cost of the computers in use. Where a process
is now does not matter to the score; the public files start with every process unplaced.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from optsched.arrays import NONE
from optsched.levels import Level, Term, TermKind
from optsched.problem import Evict, Hosts, Items, PlacementProblem
from optsched.snapshot import text
from optsched.snapshot.names import Names

Amount = Annotated[int, Meta(ge=0, le=1 << 53)]
RESOURCES = ("cpu power", "RAM", "network")  # no units that are known
OBJECTIVE = (
    Level("unplaced", (Term(TermKind.UNPLACED),)),
    Level("host_cost", (Term(TermKind.HOST_COST),)),
)


class Computer(msgspec.Struct, rename="camel"):
    """What has capacity."""

    id: int
    cpu_power: Amount
    memory: Amount
    network_bandwidth: Amount
    cost: Amount


class Process(msgspec.Struct, rename="camel"):
    """What is placed; `computer` is null, the id of a computer or a whole one."""

    id: int
    required_cpu_power: Amount
    required_memory: Amount
    required_network_bandwidth: Amount
    computer: int | Computer | None = None


class CloudBalance(msgspec.Struct, rename="camel"):
    """The document."""

    computer_list: list[Computer]
    process_list: list[Process]


def problem_of(balance: CloudBalance, name: str) -> PlacementProblem:
    """The tables; nothing is charged for moves.

    Raises
    ------
    InputError
        A process sits on a computer that is not listed.
    """
    computers, processes = balance.computer_list, balance.process_list
    hosts = Names("computer", [f"computer-{one.id}" for one in computers])
    host0 = []
    for process in processes:
        on = process.computer
        on = on.id if isinstance(on, Computer) else on
        by = f"process {process.id}"
        host0.append(NONE if on is None else hosts.find(f"computer-{on}", by))
    return PlacementProblem.of(
        Hosts.of(
            [[one.cpu_power, one.memory, one.network_bandwidth] for one in computers],
            names=hosts.table,
            cost=[one.cost for one in computers],
        ),
        Items.of(
            [
                [one.required_cpu_power, one.required_memory, one.required_network_bandwidth]
                for one in processes
            ],
            names=[f"process-{one.id}" for one in processes],
            host0=host0,
        ),
        name=name,
        resources=RESOURCES,
        tiers=("process",),
        objective=OBJECTIVE,
        order="unplaced, then cost",
        evict=Evict.NEVER,
    )


class CloudBalancingFormat:
    """Reads cloud balancing files; see `optsched.formats.base.Format`."""

    name = "cloudbalancing"
    describes = "OptaPlanner's cloud balancing, JSON"
    takes: tuple[str, ...] = ()

    def sniff(self, head: bytes, path: str) -> bool:
        """Whether it lists computers."""
        return b'"computerList"' in head

    def read(self, data: bytes, path: str, **options: Any) -> PlacementProblem:
        """The problem in the file."""
        balance = text.decode(data, CloudBalance, path)
        size = f"{len(balance.computer_list)}x{len(balance.process_list)}"
        return problem_of(balance, f"cloudbalancing-{size}")
