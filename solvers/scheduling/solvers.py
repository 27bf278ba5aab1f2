"""The solvers of task problems, as names: each ends with `optsched.outcome.settle`."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from optsched.budget import Budget
from optsched.errors import UnsupportedError
from optsched.outcome import Outcome, reserve, settle
from optsched.result import Bound
from optsched.solvers.scheduling.bounds import best_bounds, free_bounds, tighter
from optsched.solvers.scheduling.colony import ELITES, Colony, Scorer, Settings
from optsched.solvers.scheduling.exact import improve
from optsched.solvers.scheduling.rules import RULES
from optsched.tasks import Schedule, TaskProblem, evaluate

FIRST = "eft"  # the reference
SEARCH = 0.93  # of the time; the rest is for bounds
QUIET = 15  # rounds of ants without anything better after which a proof is tried
PROOF = 0.5  # of the time that is left, for a proof
MANY = 60_000  # pairs of tasks on a node that a model of CP-SAT has at most
SLOW = ("min-min", "max-min", "sufferage")  # rules that look at all pairs again and again
LAST = ("round-robin", "random", "two-choices")  # rules that are not compiled and seldom the best
WINDOWED = 500  # tasks up to which all rules are asked, however little time there is


def best_of(problem: TaskProblem, schedules: Iterable[Schedule]) -> Schedule:
    """The one whose levels are the least; of equals the first."""
    return min(schedules, key=lambda one: evaluate(problem, one).levels)


def met(values: Sequence[int], bounds: Sequence[Bound]) -> bool:
    """Whether every level is proven."""
    return all(value <= bound.value for value, bound in zip(values, bounds, strict=True))


def ruled(
    problem: TaskProblem, budget: Budget, seed: int, besides: Sequence[str] = ()
) -> list[Schedule]:
    """The schedules of the rules beside the reference, so that no answer is worse than theirs.

    Up to `WINDOWED` tasks all of them, however little time there is: they take some milliseconds.
    Of more tasks the elites, and as many others as there is time for. Those of `besides` come at
    the end; others that are not compiled and seldom good are left out.
    """
    names = [name for name in (*ELITES, *RULES) if name not in (FIRST, *LAST)]  # good ones first
    names, large = [*dict.fromkeys(names), *besides], len(problem.tasks) > WINDOWED
    found: list[Schedule] = []
    for name in names:
        if (name in SLOW and large) or (
            budget.over() and (large or name in LAST) and name not in ELITES
        ):
            continue
        found.append(RULES[name](problem, seed))
    return found


class _Solver:
    """What all have in common."""

    name = ""
    stats: dict[str, float | int | str] | None = None  # what a search wants to show

    def supports(self, problem: TaskProblem) -> str | None:
        """None: any task problem is served."""
        del problem
        return None

    def solve(
        self, problem: TaskProblem, budget: Budget, *, seed: int = 0, start: Schedule | None = None
    ) -> Outcome:
        """The best checked schedule found within the budget, with an honest bound."""
        started = time.monotonic()
        reference = RULES[FIRST](problem, seed)
        given = [reference] if start is None else [reference, start]
        given = [one for one in given if not evaluate(problem, one).violations]
        within = reserve(problem, reference, budget)
        found, bounds = self.search(problem, within, seed, given)
        return settle(
            problem, found, reference, bounds, solver=self.name, started=started, stats=self.stats
        )

    def search(
        self, problem: TaskProblem, budget: Budget, seed: int, given: list[Schedule]
    ) -> tuple[Schedule, list[Bound]]:
        """A schedule no worse than those given, and a bound of each level."""
        raise NotImplementedError


class Greedy(_Solver):
    """The best of all dispatching rules, or one of them: `greedy:edf`."""

    name = "greedy"

    def __init__(self, rule: str = "") -> None:
        if rule and rule not in RULES:
            raise UnsupportedError(f"no rule {rule!r} (there are: {', '.join(RULES)})")
        self.rule = rule
        self.name = f"greedy:{rule}" if rule else "greedy"

    def solve(
        self, problem: TaskProblem, budget: Budget, *, seed: int = 0, start: Schedule | None = None
    ) -> Outcome:
        """As the others; one rule alone is given as it is, even where EFT is better."""
        if not self.rule:
            return super().solve(problem, budget, seed=seed, start=start)
        started = time.monotonic()
        found, reference = (RULES[name](problem, seed) for name in (self.rule, FIRST))
        bounds = best_bounds(problem, found, budget)
        return settle(
            problem, found, reference, bounds, solver=self.name, started=started, keep=True
        )

    def search(
        self, problem: TaskProblem, budget: Budget, seed: int, given: list[Schedule]
    ) -> tuple[Schedule, list[Bound]]:
        """The best rule; bounds that need no search."""
        found = best_of(problem, [*given, *ruled(problem, budget, seed, LAST)])
        return found, best_bounds(problem, found, budget)


class Exact(_Solver):
    """CP-SAT from the best rule on."""

    name = "cpsat"

    def supports(self, problem: TaskProblem) -> str | None:
        """None, or that the model would be too large."""
        pairs = int(problem.fits.sum())
        if pairs > MANY:
            return f"{pairs:,} pairs of a task and a node are too many; use colony or portfolio"
        return None

    def search(
        self, problem: TaskProblem, budget: Budget, seed: int, given: list[Schedule]
    ) -> tuple[Schedule, list[Bound]]:
        """CP-SAT, level by level."""
        start = best_of(problem, [*given, *ruled(problem, budget.share(0.2), seed)])
        values = evaluate(problem, start).levels
        free = free_bounds(problem, values)
        if met(values, free):
            return start, free
        budget.report("CP-SAT")
        found, bounds = improve(problem, start, budget, seed)
        return found, tighter(bounds, best_bounds(problem, found, budget))


class Ants(_Solver):
    """The colony until the time is nearly over; its bounds are those that need no search."""

    name = "colony"

    def __init__(self, scorer: Scorer | None = None, *, settings: Settings | None = None) -> None:
        self.scorer, self.settings = scorer, settings

    def search(
        self, problem: TaskProblem, budget: Budget, seed: int, given: list[Schedule]
    ) -> tuple[Schedule, list[Bound]]:
        """Rounds of ants; when they find nothing better, a proof is tried once."""
        rules = [*given, *ruled(problem, budget.share(0.2), seed)]
        rules += self.lead(problem, budget)
        floor = best_of(problem, rules)
        colony = Colony(problem, seed, elites=rules, scorer=self.scorer, settings=self.settings)
        budget.report("colony")
        reached: tuple[int, ...] = ()
        bounds, quiet = list[Bound](), 0
        searching = budget.share(SEARCH)
        while not searching.over() and not colony.spent:
            found = colony.run(searching, rounds=1)
            values = evaluate(problem, found).levels
            quiet = quiet + 1 if values == reached else 0
            if values != reached and met(values, free_bounds(problem, values)):
                break
            if quiet == QUIET and not bounds:
                bounds = best_bounds(problem, found, searching.share(PROOF))
                if met(values, bounds):
                    break
            reached = values
        found = best_of(problem, [colony.schedule(), floor])
        values = evaluate(problem, found).levels
        if bounds and values[:-1] == reached[:-1]:  # what the bounds were made for
            return found, tighter(bounds, free_bounds(problem, values))
        return found, best_bounds(problem, found, budget)

    def lead(self, problem: TaskProblem, budget: Budget) -> list[Schedule]:
        """Schedules to begin at beside those of the rules; may set the scorer."""
        del problem, budget
        return []


class Portfolio(_Solver):
    """Rules, then ants, then CP-SAT where its model is not too large."""

    name = "portfolio"

    def __init__(self, scorer: Scorer | None = None) -> None:
        self.scorer = scorer

    def search(
        self, problem: TaskProblem, budget: Budget, seed: int, given: list[Schedule]
    ) -> tuple[Schedule, list[Bound]]:
        """One after the other, each from what the one before found."""
        exact = Exact().supports(problem) is None
        small = int(problem.fits.sum()) <= MANY // 100
        share = (0.15 if small else 0.6) if exact else 1.0
        found, bounds = Ants(self.scorer).search(problem, budget.share(share), seed, given)
        if exact and small:  # CP-SAT is quick where it is good, and is no use where it is not
            found, bounds = self._improved(problem, found, bounds, budget.share(PROOF), seed)
        if exact and not met(evaluate(problem, found).levels, bounds):
            bounds = tighter(bounds, best_bounds(problem, found, budget.share(PROOF)))
            found, bounds = self._improved(problem, found, bounds, budget, seed)
        return found, bounds

    @staticmethod
    def _improved(
        problem: TaskProblem, found: Schedule, bounds: list[Bound], budget: Budget, seed: int
    ) -> tuple[Schedule, list[Bound]]:
        """What CP-SAT makes of a schedule and its bounds."""
        before = evaluate(problem, found).levels
        if budget.over() or met(before, bounds):
            return found, bounds
        budget.report("CP-SAT")
        found, own = improve(problem, found, budget.share(SEARCH), seed, bounds)
        values = evaluate(problem, found).levels
        if values[:-1] != before[:-1]:  # those of later levels were for other values
            bounds = free_bounds(problem, values)
        return found, tighter(own, bounds)
