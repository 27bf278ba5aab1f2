"""Replays of a plan for `optsched check`: its moves one by one, in random orders within waves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optsched.check import Report
    from optsched.levels import Term
    from optsched.plan import Plan
    from optsched.problem import PlacementProblem
    from optsched.rates import Rate
    from optsched.result import Result
    from optsched.simulate import Replay

    from .console import Paper
    from .documents.answers import Played


@dataclass(frozen=True)
class Replays:
    """What came of them.

    Attributes
    ----------
    orders
        How many random orders were tried.
    faults
        What went wrong, in words, each once: a move without room, or counts that differ.
    rates
        Of every block that the objective counts, as found at the end; empty where that differs.
    """

    orders: int
    faults: tuple[str, ...]
    rates: tuple[Rate, ...]

    def document(self) -> Played:
        """For JSON."""
        from .documents.answers import Played, ReplayedRate

        rates = [ReplayedRate(one.name, one.free, one.wasted, one.share) for one in self.rates]
        return Played(self.orders, [*self.faults], rates)

    def say(self, paper: Paper) -> None:
        """For people."""
        for fault in self.faults:
            paper.say(f"replay: {fault}", "bold red")
        if not self.faults:
            found = ", ".join(f"{one.name} {one.share:.4f}" for one in self.rates)
            told = f"; {found} at the end, as the checker counts" if found else ""
            orders = "one random order" if self.orders == 1 else f"{self.orders} random orders"
            paper.say(f"Replayed in {orders}: every move finds room{told}.", "green")


def run_replays(
    problem: PlacementProblem, plan: Plan, orders: int, report: Report, result: Result | None
) -> Replays:
    """Carry a plan that keeps the rules out in random orders, and compare where it ends.

    Every block's fragments must be what the checker counts for its placement, and a level of
    nothing but fragments what the checker and the solver (`result`, where there is one) say.
    """
    from optsched.errors import PlanError
    from optsched.simulate import replay

    faults: dict[str, None] = {}
    found: tuple[Rate, ...] = ()
    for seed in range(orders):
        try:
            end = replay(problem, plan, seed)
        except PlanError as error:
            faults[str(error)] = None
            continue
        found = _rates(problem, end)
        faults |= dict.fromkeys(_differences(problem, end, found, report, result))
    return Replays(orders, tuple(faults), () if faults else found)


def _rates(problem: PlacementProblem, end: Replay) -> tuple[Rate, ...]:
    from optsched.rates import Rate, name_of, terms

    found = []
    for term in terms(problem):
        free = sum(max(cell[term.resource], 0) for cell in end.free)
        wasted, resource = _count(end, term), problem.cells.resources[term.resource]
        blocks = (free - wasted) // (term.size * term.cells)
        found.append(Rate(name_of(problem, term), resource, free, wasted, blocks))
    return tuple(found)


def _differences(
    problem: PlacementProblem,
    end: Replay,
    found: tuple[Rate, ...],
    report: Report,
    result: Result | None,
) -> Iterator[str]:
    """What the end of a replay has otherwise than the checker or the solver."""
    from optsched.levels import TermKind
    from optsched.rates import rates

    if list(end.host) != report.placement.host.tolist():
        yield "not every item ends on the host on which the checker finds it"
    for mine, other in zip(found, rates(problem, report.placement), strict=True):
        if mine != other:
            yield (
                f"{mine.name} ends at {mine.wasted} of {mine.free} free {mine.resource}, "
                f"but at {other.wasted} of {other.free} by the tables"
            )
    for at, level in enumerate(problem.objective):
        if not level.terms or any(one.kind is not TermKind.FRAGMENTS for one in level.terms):
            continue
        value = max(sum(one.weight * _count(end, one) for one in level.terms) - level.goal, 0)
        told = {"the checker": int(report.levels[at])}
        if result is not None:
            told["the solver"] = result.levels[at].value
        for who, said in told.items():
            if said != value:
                yield f"level {level.name!r} ends at {value}, but at {said} for {who}"


def _count(end: Replay, term: Term) -> int:
    return end.fragments(term.resource, term.size, term.cells)
