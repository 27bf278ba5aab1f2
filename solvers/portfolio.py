"""`portfolio`: free bounds first, then the cheapest solver that can still help."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from optsched.budget import Budget
from optsched.kernels.jit import COMPILED
from optsched.levels import TermKind
from optsched.objective import evaluate
from optsched.plan import Order, Placement, Plan
from optsched.problem import PlacementProblem
from optsched.result import Result, conclude
from optsched.solvers.annealing import Annealing
from optsched.solvers.bounds import free_bounds
from optsched.solvers.cell_search import adopt, count_cells, renew
from optsched.solvers.column_generation import NAMES
from optsched.solvers.counts import CpSat
from optsched.solvers.ending import Ending
from optsched.solvers.fragments.apart import merged, without_limits
from optsched.solvers.fragments.exchange import Outcome, in_time, reschedule
from optsched.solvers.ladder import Ladder, Step
from optsched.solvers.local import improve
from optsched.solvers.loosening import loosened
from optsched.solvers.patterns import LARGEST, pattern_steps

# Shares of the remaining time for local search, in turn with CP-SAT; where CP-SAT cannot serve.
# Above HUGE items the bounds and the look at the clock between two steps take seconds themselves.
ROUNDS, LARGE, SLOW = (0.1, 0.75, 0.8), (0.75,), (0.7,)
HUGE = 20_000
ATTEMPTS = 3  # at a placement that can be sequenced

# With limits CP-SAT has many more rows, and pays only up to this many pairs.
LARGEST_BOUND = 12_000

# Shares of the time for CP-SAT on all rules, at first and then in earnest, then for what limits do
# not bind, while the rest is held in place.
GLANCE, COUNTED, LOOSENED = 0.12, 0.65, 0.4

# Share of the time for exchanges of classes, before local search goes on where they end.
EXCHANGES = 0.7
TINY = 0.5  # of that, where several resources count: their steps are too tiny for proofs
BARE = 0.5  # of that, for what they can do without limits
BEGIN, BEGIN_ITEM = 0.1, 4e-5  # seconds, and seconds per item, that a local search takes to begin


class Portfolio:
    """The default solver."""

    name = "portfolio"

    def supports(self, problem: PlacementProblem) -> str | None:
        """Every placement problem."""
        del problem
        return None

    def solve(
        self,
        problem: PlacementProblem,
        budget: Budget,
        *,
        seed: int = 0,
        start: Plan | None = None,
        order: Order = Order.WAVES,
    ) -> Result:
        """Climb the levels until everything is proven or time is up."""
        started = time.monotonic()
        exchanged = exchange(problem, budget, seed, start, order)
        if exchanged is not None and (exchanged.proven or not worth_more(problem, budget)):
            return conclude(
                problem,
                exchanged.placement,
                exchanged.bounds,
                solver=self.name,
                started=started,
                order=order,
                others=exchanged.others,
                stats=exchanged.stats,
                deadline=budget.deadline,
            )
        ending = Ending(problem, order, budget, self.name)
        ladder = Ladder(problem, start.placement(problem) if start is not None else None)
        others: list[Placement] = []
        if exchanged is not None:
            others = [exchanged.placement, *exchanged.others]
            adopt(ladder, exchanged)
        if len(problem.items) and len(problem.hosts):
            others = [*work(ladder, ending, seed), *others]
            others = detour(ladder, ending, seed, others)
        if exchanged is not None:
            renew(ladder, exchanged)
        return conclude(
            problem,
            ladder.placement,
            ladder.bounds,
            solver=self.name,
            started=started,
            order=order,
            others=others,
            ways=ending.ways,
            deadline=budget.deadline,
        )


def exchange(
    problem: PlacementProblem, budget: Budget, seed: int, start: Plan | None, order: Order
) -> Outcome | None:
    """What exchanges of classes can do about fragments, and counts where these leave it open.

    None: neither can express the problem.
    """
    terms = [term for level in problem.objective for term in level.terms]
    blocks = [term for term in terms if term.kind is TermKind.FRAGMENTS]
    if not blocks:
        return None
    own = in_time(problem, budget, order)
    if worth_more(problem, own.share(1 - EXCHANGES)):
        own = own.share(EXCHANGES)
    several = len({term.resource for term in blocks}) > 1
    mine = own.share(TINY) if several else own
    outcome = _exchanges(problem, mine, seed, start, order)
    if isinstance(outcome, str):
        return count_cells(problem, own, seed, order, start)
    if not outcome.proven and not own.over():
        return count_cells(problem, own, seed, order, start, outcome) or outcome
    return outcome


def _exchanges(
    problem: PlacementProblem, budget: Budget, seed: int, start: Plan | None, order: Order
) -> Outcome | str:
    """Exchanges; without limits first, where there are any: that is fast, and proves most."""
    if not len(problem.limits):
        return reschedule(problem, budget, seed, order, start)
    bare = without_limits(problem, budget.share(BARE), seed, order)
    if isinstance(bare, Outcome) and bare.proven:
        return bare
    bound = reschedule(problem, budget, seed, order, start)
    if isinstance(bare, str) or isinstance(bound, str):
        return bound if isinstance(bare, str) else bare
    return merged(problem, bound, bare)


def worth_more(problem: PlacementProblem, budget: Budget) -> bool:
    """Whether there is time for a local search to begin and get somewhere."""
    return not budget.stop() and budget.remaining() > BEGIN + BEGIN_ITEM * len(problem.items)


def work(ladder: Ladder, ending: Ending, seed: int) -> list[Placement]:
    """Local search where the problem is large or bound by more than room; proofs where it is not.

    What is bound by room alone and small goes straight to the proofs, which search on their own.
    Returns placements to fall back on.
    """
    problem, budget = ladder.problem, ending.search()
    bound_by_more = _bound_by_more_than_room(problem)
    small = _small(ladder)
    if small and not bound_by_more:
        exact(ladder, budget, seed, ending)
        return []
    rounds = ROUNDS if small else LARGE if len(problem.items) <= HUGE else SLOW
    others: list[Placement] = []
    for attempt, patience in enumerate(rounds):
        if attempt and not worth_more(problem, budget):
            break
        share = budget.share(patience)
        ladder.offer(
            improve(problem, ladder.placement, share, seed + attempt, lambda v: not any(v))
        )
        others.append(ladder.placement)
        if not budget.over() and ending.way(ladder.placement).dropped and attempt:
            break  # what time is left is for ways around
        if attempt != 1:
            _bound_freely(ladder, ending.proofs(ladder.placement).share(0.3))
        if ladder.done() or not small:
            break
        # First what knows all rules, then what is fast with room: where both are in time, the
        # first proves more, and in a hurry it is mostly the first that places one more.
        count_all = Step(CpSat(seed + attempt, gently=True), 0.5)
        for patience in (GLANCE, COUNTED):  # what a glance finds is the easier to sequence
            ladder.climb([count_all], budget.share(patience))
            others.append(ladder.placement)
        if ladder.done() or (not budget.over() and ending.way(ladder.placement).dropped):
            break
        prove_loosened(ladder, budget.share(LOOSENED), seed + attempt)
    return others


def prove_loosened(ladder: Ladder, budget: Budget, seed: int) -> None:
    """The best that can be done while what limits bind stays where the incumbent has it."""
    problem = loosened(ladder.problem, ladder.placement)
    if problem is None or _bound_by_more_than_room(problem):
        return
    loose = Ladder(problem, ladder.placement)
    exact(loose, budget, seed)
    ladder.offer(loose.placement)


def detour(ladder: Ladder, ending: Ending, seed: int, others: list[Placement]) -> list[Placement]:
    """More placements to fall back on, where not every move of the incumbent can be sequenced.

    Each starts from what can be reached and is improved from there.
    """
    budget, placement, found = ending.search(), ladder.placement, list(others)
    counted = _small(ladder) and _bound_by_more_than_room(ladder.problem)
    for attempt in range(1, ATTEMPTS + 1):
        if budget.over():
            break
        reached = ending.way(placement)
        if not reached.dropped:
            break
        start = reached.plan.placement(ladder.problem)
        share = budget.share(0.5)
        if counted:
            again = Ladder(ladder.problem, start)
            again.climb([Step(CpSat(seed - attempt, gently=True), 0.8)], share)
            placement = again.placement
        else:
            placement = improve(ladder.problem, start, share, seed + attempt)
        found += [placement, start]
    return sorted(found, key=lambda one: evaluate(ladder.problem, one))


def _bound_freely(ladder: Ladder, budget: Budget) -> None:
    """Bounds that need no search."""
    given = ladder.values
    for level, bound in enumerate(free_bounds(ladder.problem, ladder.placement, budget)):
        if bound is not None:
            ladder.best.prove(level, bound, given[:level])


def exact(ladder: Ladder, budget: Budget, seed: int, ending: Ending | None = None) -> None:
    """For problems small enough to be proven: rounds over the levels with growing patience.

    With more than one worker, one of them anneals all the time, while the others prove. What is
    kept back for the `ending` is measured after the first round.
    """
    with Roaming(ladder, budget, seed) as prover:
        alone = prover.workers == budget.workers
        search, *patterns = pattern_steps(seed, anneal=800 if alone else 200)
        ladder.climb([search, *patterns], prover)
        if ending is not None and not prover.over():
            ending.way(ladder.placement)
        patience = 1
        while not ladder.done() and not budget.over():
            search = Step(Annealing(seed + patience, longest=800 << patience), 0.3)
            proof = Step(CpSat(seed + patience), 0.25)
            ladder.climb([*([search] if alone else []), *patterns, proof], prover)
            patience += 1


def _small(ladder: Ladder) -> bool:
    """Whether models of all classes and hosts are built in time, and no item needs cells."""
    problem = ladder.problem
    most = LARGEST_BOUND if _bound_by_more_than_room(problem) else LARGEST
    pairs = len(ladder.classes) * len(problem.hosts)
    return pairs <= most and not problem.items.cells_needed.any()


def _bound_by_more_than_room(problem: PlacementProblem) -> bool:
    """Whether rules or goals count that neither annealing nor patterns know, but CP-SAT does."""
    goals = {term.kind for level in problem.objective for term in level.terms}
    return bool(len(problem.limits) or (problem.items.gang >= 0).any() or goals - set(NAMES))


class Roaming:
    """A thread that anneals while its context lasts; gives the budget that is left for others."""

    def __init__(self, ladder: Ladder, budget: Budget, seed: int) -> None:
        self._ladder, self._budget, self._seed = ladder, budget, seed
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Budget:
        if self._budget.workers < 2 or not COMPILED:
            return self._budget
        own = replace(self._budget, stop=lambda: self._stop.is_set() or self._budget.stop())
        search = Annealing(self._seed + 1000)
        self._thread = threading.Thread(target=search.roam, args=(self._ladder, own), daemon=True)
        self._thread.start()
        return replace(self._budget, workers=self._budget.workers - 1)

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
