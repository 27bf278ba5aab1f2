"""Plans and results as versioned JSON; items, hosts and tiers by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, field

from optsched.arrays import NONE
from optsched.errors import PlanError
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import PlacementProblem
from optsched.rates import changes

from . import text
from .names import Names
from .records import Amount, Record

if TYPE_CHECKING:
    from optsched.result import Result

PLAN = "optsched/plan"
RESULT = "optsched/result"
VERSIONS = (1,)


class MoveRecord(Record):
    """One item changes its host; no `from`: it is pending, no `to`: it is left without a host.

    `cells` are positions on the target.
    """

    item: str
    from_: str | None = field(default=None, name="from")
    to: str | None = None
    cells: list[Amount] = field(default_factory=list)


class PlanRecord(Record, kw_only=True):
    """Waves of moves; `problem` is the digest of the problem they are for."""

    format: Literal["optsched/plan"]
    version: Literal[1]
    problem: str
    order: Order = Order.WAVES
    waves: list[list[MoveRecord]]


class LevelRecord(Record):
    """One level of the objective, minimised.

    `stay` is the value of doing nothing; `gap` the share of the attainable improvement not taken;
    `source` says where the bound comes from.
    """

    name: str
    value: int
    bound: int
    stay: int
    gap: float
    proven: bool
    source: str


class CertificateRecord(Record):
    """What the proof covers, in words."""

    order: str
    semantics: str
    ranged: str
    text: str


class RateRecord(Record):
    """A fragment rate: the share of the `free` units that no block of the size can use.

    `least` is a rate below which no plan can get, where a bound says so; `blocks` are those that
    fit.
    """

    name: str
    before: float
    after: float
    least: float | None
    free: int
    blocks_before: int
    blocks_after: int


class ResultRecord(Record, kw_only=True):
    """An answer: its status, the value and bound of every level, and the plan.

    A level named "unplaced[3]" is about the tier at position 3 of `tiers`, which begin with 0.
    `dropped` are items that were left alone because their move could not be sequenced.
    """

    format: Literal["optsched/result"]
    version: Literal[1]
    problem: str
    name: str = ""
    status: Literal["optimal", "feasible", "infeasible", "unknown"]
    solver: str
    seconds: Annotated[float, Meta(ge=0)]
    tiers: list[str] = field(default_factory=list)
    levels: list[LevelRecord]
    rates: list[RateRecord] = field(default_factory=list)
    certificate: CertificateRecord
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    stats: dict[str, float | int | str | None] = field(default_factory=dict)
    plan: PlanRecord


def encode_plan(problem: PlacementProblem, plan: Plan) -> bytes:
    """The plan as a file."""
    return text.encode(_plan_record(problem, plan))


def decode_plan(data: bytes, problem: PlacementProblem, path: str = "plan") -> Plan:
    """The plan in a plan file, or in a result file; `path` is for messages.

    The plan keeps the digest of the problem that it was made for; compare it with
    `problem.digest()` to know whether that is this one.

    Raises
    ------
    FormatError
        The file is neither, or of a version that this release does not understand.
    PlanError
        It names an item, host or cell that the problem does not have.
    """
    head = text.read_head(data, path)
    text.check_head(head, path, (PLAN, RESULT), VERSIONS)
    if head.format == RESULT:
        return _plan(text.decode(data, ResultRecord, path).plan, problem, path)
    return _plan(text.decode(data, PlanRecord, path), problem, path)


def encode_result(problem: PlacementProblem, result: Result) -> bytes:
    """The result as a file, its plan included."""
    certificate = result.certificate
    record = ResultRecord(
        format="optsched/result",
        version=1,
        problem=result.plan.problem,
        name=problem.name,
        status=result.status.value,
        solver=result.solver,
        seconds=result.seconds,
        tiers=[*problem.tiers],
        levels=[
            LevelRecord(
                name=level.name,
                value=int(level.value),
                bound=int(level.bound),
                stay=int(level.stay),
                gap=float(level.gap),
                proven=bool(level.proven),
                source=level.source,
            )
            for level in result.levels
        ],
        rates=_rates(problem, result),
        certificate=CertificateRecord(
            order=certificate.order,
            semantics=certificate.semantics,
            ranged=certificate.ranged,
            text=certificate.text,
        ),
        warnings=[*problem.warnings],
        notes=[*result.notes],
        dropped=[problem.items.names[item] for item in result.dropped],
        stats=dict(result.stats),
        plan=_plan_record(problem, result.plan),
    )
    return text.encode(record)


def _rates(problem: PlacementProblem, result: Result) -> list[RateRecord]:
    found = changes(
        problem, result.plan.placement(problem), [level.bound for level in result.levels]
    )
    return [
        RateRecord(
            name=one.after.name,
            before=one.before.share,
            after=one.after.share,
            least=one.best,
            free=one.after.free,
            blocks_before=one.before.blocks,
            blocks_after=one.after.blocks,
        )
        for one in found
    ]


def decode_result(data: bytes, problem: PlacementProblem, path: str = "result") -> Result:
    """The result in a file; errors as those of `decode_plan`."""
    from optsched.result import Certificate, LevelValue, Result, Status

    text.check_head(text.read_head(data, path), path, (RESULT,), VERSIONS)
    record = text.decode(data, ResultRecord, path)
    known = record.certificate
    return Result(
        status=Status(record.status),
        plan=_plan(record.plan, problem, path),
        levels=tuple(
            LevelValue(one.name, one.value, one.bound, one.stay, one.source)
            for one in record.levels
        ),
        certificate=Certificate(known.order, known.semantics, known.ranged, known.text),
        solver=record.solver,
        seconds=record.seconds,
        dropped=tuple(_find(problem, record.dropped, path)),
        notes=tuple(record.notes),
        stats={key: value for key, value in record.stats.items() if value is not None},
    )


def _plan_record(problem: PlacementProblem, plan: Plan) -> PlanRecord:
    items, hosts = problem.items.names, problem.hosts.names
    first = problem.cells.host.searchsorted(range(len(hosts))).tolist()
    return PlanRecord(
        format="optsched/plan",
        version=1,
        problem=plan.problem,
        order=Order(plan.order),
        waves=[
            [
                MoveRecord(
                    item=items[move.item],
                    from_=hosts[move.source] if move.source >= 0 else None,
                    to=hosts[move.target] if move.target >= 0 else None,
                    cells=[int(cell) - first[move.target] for cell in move.cells],
                )
                for move in wave.moves
            ]
            for wave in plan.waves
        ],
    )


def _plan(record: PlanRecord, problem: PlacementProblem, path: str) -> Plan:
    hosts: dict[str | None, int] = {name: at for at, name in enumerate(problem.hosts.names)}
    hosts[None] = NONE
    starts = problem.cells.host.searchsorted(range(len(problem.hosts) + 1)).tolist()
    moved = [move.item for wave in record.waves for move in wave]
    numbers = iter(_find(problem, moved, path))
    waves = []
    for wave in record.waves:
        moves = []
        for move in wave:
            for host in (move.from_, move.to):
                if host not in hosts:
                    raise PlanError(
                        f"{path}: a move of {move.item[:80]!r} names the host "
                        f"{str(host)[:80]!r}, which the problem does not have"
                    )
            target = hosts[move.to]
            first, end = (starts[target], starts[target + 1]) if target >= 0 else (0, 0)
            if any(cell >= end - first for cell in move.cells):
                raise PlanError(f"{path}: {move.item[:80]!r} takes a cell that its host lacks")
            cells = tuple(first + cell for cell in move.cells)
            moves.append(Move(next(numbers), hosts[move.from_], target, cells))
        waves.append(Wave(tuple(moves)))
    return Plan(record.problem, record.order, tuple(waves))


def _find(problem: PlacementProblem, names: list[str], path: str) -> list[int]:
    known = Names("item", problem.items.names).number
    for name in names:
        if name not in known:
            raise PlanError(
                f"{path}: the plan names the item {name[:80]!r}, which the problem does not have"
            )
    return [known[name] for name in names]
