"""`fragments`: exchanges of classes between types, priced exactly; fewest fragments, then moves."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from optsched.budget import Budget
from optsched.objective import evaluate, moved
from optsched.plan import Order, Placement, Plan
from optsched.problem import PlacementProblem
from optsched.result import Bound, Result, conclude
from optsched.solvers.fragment_bounds import fewest_left
from optsched.solvers.fragments.building import build
from optsched.solvers.fragments.decode import decode
from optsched.solvers.fragments.goals import Goals, goals_of
from optsched.solvers.fragments.greedy import steepest
from optsched.solvers.fragments.integer import Chosen, choose
from optsched.solvers.fragments.master import Master
from optsched.solvers.fragments.model import Model
from optsched.solvers.fragments.trim import keep_allowed, without_needless
from optsched.solvers.search import starting

SOURCE = "exchange prices"
EMPTYING = 0.5  # share of the time to empty hosts further than greedy does
SAFE_FIRST = 0.6  # share of the time for order-safe plans, where waves are allowed
WORTHWHILE, FEW_ROUNDS = 0.95, 4  # share of the moves and tries, to save moves that are no level
CONCLUDE = 8e-6  # seconds per item that sequencing and checking take
WAVES = 3  # times that, where moves are put in waves


@dataclass
class Outcome:
    """What exchanges could do.

    Attributes
    ----------
    placement, others
        The best placement, and those to fall back on.
    bounds
        One per level; None: nothing is known.
    proven
        Whether the placement meets the bounds of all levels that exchanges serve.
    lasting
        By level, bounds that hold for all placements at least as good on the levels before.
    """

    placement: Placement
    bounds: list[Bound | None]
    others: list[Placement] = field(default_factory=list)
    proven: bool = False
    stats: dict[str, float | int | str] = field(default_factory=dict)
    lasting: dict[int, Bound] = field(default_factory=dict)


class Fragments:
    """Optimal rescheduling against fragments."""

    name = "fragments"

    def supports(self, problem: PlacementProblem) -> str | None:
        """None, or one sentence why exchanges cannot express the problem."""
        goals = goals_of(problem)
        if isinstance(goals, str):
            return goals
        model = build(problem, problem.objective[goals.fragments], safe=True)
        return model if isinstance(model, str) else None

    def solve(
        self,
        problem: PlacementProblem,
        budget: Budget,
        *,
        seed: int = 0,
        start: Plan | None = None,
        order: Order = Order.WAVES,
    ) -> Result:
        """Greedy, column generation, whole exchanges."""
        started = time.monotonic()
        outcome = reschedule(problem, in_time(problem, budget, order), seed, order, start)
        if isinstance(outcome, str):
            nothing: list[Bound | None] = [None] * len(problem.objective)
            outcome = Outcome(starting(problem, start), nothing, stats={"refused": outcome})
        return conclude(
            problem,
            outcome.placement,
            outcome.bounds,
            solver=self.name,
            started=started,
            order=order,
            others=outcome.others,
            stats=outcome.stats,
            deadline=budget.deadline,
        )


def in_time(problem: PlacementProblem, budget: Budget, order: Order) -> Budget:
    """The budget, less what sequencing and checking a plan will take."""
    left = budget.remaining()
    each = CONCLUDE if order is Order.SAFE else WAVES * CONCLUDE
    return budget.until(left - min(0.5 * left, 0.005 + each * len(problem.items)))


def reschedule(
    problem: PlacementProblem,
    budget: Budget,
    seed: int = 0,
    order: Order = Order.SAFE,
    start: Plan | None = None,
) -> Outcome | str:
    """The best placement by exchanges and bounds of it, or a sentence why there are none."""
    goals = goals_of(problem)
    if isinstance(goals, str):
        return goals
    model = build(problem, problem.objective[goals.fragments], safe=True)
    if isinstance(model, str):
        return model
    run = _Run(model, goals, budget, seed)
    if start is not None and (order is not Order.SAFE or start.order is Order.SAFE):
        run.offer(starting(problem, start))
    run.construct(model)
    if not len(model.shapes):
        return run.outcome([model])
    if order is Order.SAFE or run.budget.over():
        run.improve(model)
        return run.outcome([model])
    loose = build(problem, problem.objective[goals.fragments], safe=False)
    if isinstance(loose, str):
        run.improve(model)
        return run.outcome([])
    run.budget = budget.share(SAFE_FIRST)
    run.improve(model)
    run.budget = budget
    run.follow(loose, model)
    run.improve(loose)
    return run.outcome([loose])


class _Run:
    """One solve: the best placement so far and a master for each reading of the order."""

    def __init__(self, model: Model, goals: Goals, budget: Budget, seed: int) -> None:
        self.problem, self.goals, self.budget, self.seed = model.problem, goals, budget, seed
        self.level = model.problem.objective[goals.fragments]
        self.placement = Placement.current(model.problem)
        self.values = evaluate(model.problem, self.placement)
        self.moves = 0
        self.others: list[Placement] = []
        self.masters: dict[bool, Master] = {}
        items, drain = self.problem.items, self.problem.hosts.drain
        there = items.occupies & drain[items.host0]
        self.there, self.pinned = int(there.sum()), int((there & ~items.movable).sum())
        excess = model.value - self.level.goal
        self.needed = -(-excess // model.step) if self.level.goal else np.inf

    def construct(self, model: Model) -> None:
        """The first placement, by steepest ascent."""
        self.offer(steepest(model))
        value = self.values[self.goals.fragments]
        self.budget.report("greedy", value=value)

    def offer(self, placement: Placement) -> None:
        """Keep the placement if it is better, or as good with fewer moves."""
        values = evaluate(self.problem, placement)
        moves = int(moved(self.problem, placement).sum())
        if (values, moves) >= (self.values, self.moves):
            return
        self.others.insert(0, self.placement)
        self.placement, self.values, self.moves = placement, values, moves

    def master(self, model: Model) -> Master:
        """The master for a model."""
        if model.safe not in self.masters:
            self.masters[model.safe] = Master(model)
        return self.masters[model.safe]

    def gained(self, model: Model) -> int:
        """Steps that the best placement gains, less prizes that it misses."""
        missed = model.prize * max(0, self.master(model).must - self.left(model))
        total = self.values[self.goals.fragments] + self.level.goal
        if self.values[self.goals.fragments] == 0 and self.level.goal:
            return self.target(1 << 40) - missed
        return (model.value - total) // model.step - missed

    def left(self, model: Model) -> int:
        """How many that take part leave hosts that are to be emptied."""
        stay = self.values[self.goals.drained] if self.goals.drained >= 0 else 0
        return min(max(self.there - stay, 0), model.shapes.leavers)

    def target(self, ceiling: float) -> int:
        """Steps that are worth gaining: up to a ceiling, and no more than the goal needs."""
        return int(min(ceiling, self.needed if self.there else max(self.needed, 0)))

    def follow(self, model: Model, earlier: Model) -> None:
        """Begin at the prices of an earlier model: they are rarely far from the best ones."""
        if not self.budget.over():
            self.master(model).follow(self.master(earlier))

    def bound(self, model: Model) -> None:
        """Generate columns until the bound is that of the LP, or the best placement meets it."""
        master = self.master(model)
        master.generate(self.budget, self.gained(model))
        if not np.isfinite(master.bound):
            return  # time was up before the first prices
        ceiling = self.target(np.floor(master.bound))
        self.budget.report("bound", bound=self._level_bound(model, ceiling))

    def improve(self, model: Model) -> None:
        """Empty hosts as far as can be; then the best whole exchanges; then the fewest moves."""
        if self.budget.over():
            return
        master = self.master(model)
        if self.goals.drained >= 0:
            self._empty(model, self.budget.share(EMPTYING))
            master.require(self.left(model))
        self.bound(model)
        if not np.isfinite(master.bound):
            return
        ceiling = self._ceiling(model) - (model.grain - 1)
        if self.gained(model) < ceiling:
            self.take(model, choose(master, self.budget, ceiling, self.seed))
        self._save_moves(model, master)

    def _empty(self, model: Model, budget: Budget) -> None:
        """Let one more leave hosts that are to be emptied, as long as that may be possible."""
        master, most, left = self.master(model), self._most_leave(model), -1
        while left < self.left(model) < most and not budget.over():
            left = self.left(model)
            master.require(most)
            master.generate(budget, self.gained(model))
            # One more that leaves is worth more than all else can gain or lose.
            target = model.prize * (left + 1 - most) - model.most_else
            if not np.isfinite(master.bound) or master.bound < target:
                return
            self.take(model, choose(master, budget, target, self.seed, lower=False))

    def _ceiling(self, model: Model) -> int:
        """Steps that no plan can pass, by any master whose bound holds for plans of the model."""
        loosest = min(
            np.floor(master.bound)
            for master in (*self.masters.values(), self.master(model))
            if model.safe or not master.model.safe
        )
        return self.target(loosest)

    def take(self, model: Model, chosen: Chosen) -> None:
        """Decode whole exchanges and keep the placement if it is allowed and better."""
        if not len(chosen.columns):
            return
        placement = keep_allowed(self.problem, decode(model, chosen))
        if self.goals.moved < 0:
            placement = without_needless(self.problem, self.level, placement)
        self.offer(placement)
        self.budget.report("exchanges", value=self.values[self.goals.fragments])

    def _save_moves(self, model: Model, master: Master) -> None:
        """Fewer moves for the same gain: the fewest that prices allow, then one more at a time.

        Where moves are no level, only as long as there are many to be saved.
        """
        gain, moves = self.gained(model), 0
        share, rounds = (1.0, self.moves) if self.goals.moved >= 0 else (WORTHWHILE, FEW_ROUNDS)
        for _ in range(rounds if gain > 0 or master.must else 0):
            fewest = max(moves, master.fewest_moves(gain))
            if fewest >= share * self.moves or self.budget.over():
                break
            moves = fewest
            master.allow(moves)
            master.generate(self.budget, gain - 1)
            if np.floor(master.bound) < gain:
                continue
            self.take(model, choose(master, self.budget, gain, self.seed))
            moves += 1
        master.allow(model.moves)

    def _level_bound(self, model: Model, ceiling: int) -> int:
        """Value of the level after that many steps."""
        return max(model.value - model.step * ceiling - self.level.goal, 0)

    def outcome(self, models: list[Model]) -> Outcome:
        """Placement, bounds and whether they meet; the last of `models` bounds plans asked for."""
        bounds: list[Bound | None] = [None] * len(self.problem.objective)
        stats: dict[str, float | int | str] = {}
        proven = False
        for model in models:
            proven = self._prove(model, bounds)
        for safe, master in self.masters.items():
            name = "order-safe" if safe else "any order"
            stats[f"rounds ({name})"] = master.rounds
            stats[f"columns ({name})"] = len(master.columns)
        at = self.goals.fragments
        # The more must leave hosts that are to be emptied, the less can be gained beside.
        lasting = {at: bound} if (bound := bounds[at]) is not None else {}
        return Outcome(self.placement, bounds, self.others, proven, stats, lasting)

    def _most_leave(self, model: Model) -> int:
        """How many that take part leave at most, by bounds that need no prices."""
        stay = max(bound.value for bound in self._stay(model))
        return min(self.there - stay, model.shapes.leavers)

    def _stay(self, model: Model) -> list[Bound]:
        """How many items stay on the hosts to be emptied, at least."""
        found = [Bound(self.pinned, "items that may not move")]
        if self.problem.max_moves >= 0:
            found.append(Bound(self.there - self.problem.max_moves, "the limit of moves"))
        if model.safe:
            left = fewest_left(self.problem)
            found.append(Bound(left, "places in what is free now", safe=True))
        return found

    def _priced_stay(self, model: Model) -> Bound:
        """The same by prices: so many prizes are missed that no gain can make up for them."""
        most = self._most_leave(model)
        bound = self.master(model).bound_at(model.moves, most)
        if not np.isfinite(bound):
            return Bound(self.pinned, SOURCE, model.safe)
        lost = -int(np.floor(bound)) - model.most_else
        return Bound(self.there - most - (-lost // model.prize), SOURCE, model.safe)

    def _prove(self, model: Model, bounds: list[Bound | None]) -> bool:
        """Fill in the bounds; whether the placement meets them."""
        goals, values = self.goals, self.values
        proven = True
        if goals.drained >= 0:
            self.master(model).require(self.left(model))
            stay = max([*self._stay(model), self._priced_stay(model)], key=lambda one: one.value)
            bounds[goals.drained] = stay
            proven = values[goals.drained] <= stay.value
        if not len(model.shapes):
            bounds[goals.fragments] = Bound(values[goals.fragments], "nothing can move")
            return proven
        master = self.master(model)
        if not np.isfinite(master.bound):
            return False
        least = self._level_bound(model, self.target(np.floor(master.bound)))
        bounds[goals.fragments] = Bound(least, SOURCE, model.safe)
        proven &= values[goals.fragments] <= least
        if goals.moved >= 0:
            fewest = min(master.fewest_moves(self.gained(model)), values[goals.moved])
            bounds[goals.moved] = Bound(fewest, SOURCE, model.safe)
            proven &= values[goals.moved] <= fewest
        return proven
