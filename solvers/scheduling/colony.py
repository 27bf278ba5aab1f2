"""A max-min ant system for schedules (Stützle and Hoos 2000), with a local search and elites.

Ants put the tasks on nodes one after another; pheromone says which node was good for a task in good
schedules, and stays between two limits. Each ant has its own haste and thrift, so that some look at
the time of answers and some at energy. The best ants of a round deposit by rank, whatever their
values are; the best of them is bettered by a local search over nodes and order. Dispatching rules
are the first elites: no answer is worse than theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from optsched.arrays import Ints
from optsched.budget import Budget
from optsched.kernels import ants, climbing
from optsched.kernels import schedules as kernel
from optsched.solvers.scheduling.flat import schedule_of, tables
from optsched.solvers.scheduling.rules import RULES, by_arrival
from optsched.tasks import Goal, Schedule, TaskProblem, evaluate

GOALS = (Goal.SLA, Goal.RESPONSE, Goal.ENERGY, Goal.LATENESS)  # the kernel's columns
ELITES = ("eft", "energy", "edf", "wspt", "heft")
PART = 5000  # tasks placed by the local search between two looks at the clock
APART = 500  # steps between them where a step builds two nodes alone

Floats = np.ndarray
Scorer = Callable[[TaskProblem], Floats]
"""(I, J) how much each node is worth to each task, above 0; rows need not sum to anything."""


@dataclass(frozen=True)
class Settings:
    """Of the colony; the defaults are those of every benchmark.

    Attributes
    ----------
    ants, depositing
        In a round, and how many of them leave pheromone, beside the best of all.
    evaporation
        Share of the pheromone that a round takes.
    spread
        Upper over lower limit of the pheromone.
    steps
        Of the local search in a round, for each task.
    jitter
        Positions by which an ant's order may differ from the best one.
    belief
        Where a scorer's worth enters: "both", "heuristic" or "pheromone".
    evaluations
        Schedules that are built, in all, after which a solver ends; 0: time alone ends it.
    """

    ants: int = 16
    depositing: int = 4
    evaporation: float = 0.1
    spread: float = 50.0
    steps: int = 20
    jitter: float = 6.0
    belief: str = "both"
    evaluations: int = 0


def weights(problem: TaskProblem) -> Ints:
    """(L, 4) of the kernel's columns in every level."""
    levels = range(len(problem.objective.levels))
    return np.array([[problem.objective.weights(k).get(g, 0) for g in GOALS] for k in levels])


@dataclass
class _Trail:
    """A schedule as an order and a choice of nodes, with its values."""

    order: Ints
    choice: Ints
    values: Ints


class Colony:
    """The ants of one problem; `run` may be called again to go on."""

    def __init__(
        self,
        problem: TaskProblem,
        seed: int = 0,
        *,
        elites: Sequence[Schedule] | None = None,
        scorer: Scorer | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.problem, self.settings = problem, settings or Settings()
        self.tables, self.weights = tables(problem), weights(problem)
        shape = (len(problem.tasks), len(problem.nodes))
        self.lines = kernel.lines(self.tables)
        self.rank = np.array(by_arrival(problem), np.int64)
        self.stream = np.random.default_rng(seed).integers(1, 1 << 63, 1).astype(np.uint64)
        self.rng = np.random.default_rng([seed, 1])
        self.eta = np.ones(shape)
        self.tau = np.ones(shape)
        self.chances = np.empty(shape)
        if scorer is not None:
            self._believe(np.asarray(scorer(problem), float))
        given = [RULES[name](problem, seed) for name in ELITES] if elites is None else elites
        self.given = [self._trail(one) for one in given]
        self.best = self._choose(self.given) if given else self._rejecting()
        self.rounds = self.evaluations = 0
        self.budget = Budget.of(0)

    def run(self, budget: Budget, rounds: int | None = None) -> Schedule:
        """The best schedule found until the budget ends, or after so many rounds."""
        done, self.budget = 0, budget
        while not budget.over() and (rounds is None or done < rounds):
            self._round()
            done += 1
        return self.schedule()

    @property
    def spent(self) -> bool:
        """Whether as many schedules were built as are allowed."""
        return 0 < self.settings.evaluations <= self.evaluations

    def schedule(self) -> Schedule:
        """The best of all."""
        kernel.decode(self.tables, self.lines, self.best.order, self.best.choice)
        return schedule_of(self.problem, self.lines)

    # ------------------------------------------------------------------ a round

    def _round(self) -> None:
        wish = self.settings
        if not self.rounds:  # there may be no time for more
            self._deepen()
        herd = [self._walk(0)]
        for k in range(1, wish.ants):
            if self.budget.over():
                break
            herd.append(self._walk(k))
        herd = self._sorted(herd)
        self._climb(herd[0])
        self._keep(herd[0])
        self._deepen()
        self.tau *= 1 - wish.evaporation
        row = np.arange(len(self.rank))
        for place, trail in enumerate((self.best, *herd[: wish.depositing])):
            on = trail.choice >= 0
            share = wish.evaporation * (wish.depositing + 1 - place) / (wish.depositing + 1)
            self.tau[row[on], trail.choice[on]] += share
        np.clip(self.tau, 1 / wish.spread, 1.0, out=self.tau)
        self.rounds += 1

    def _walk(self, ant: int) -> _Trail:
        """One ant; every fourth by arrival, the others near the best order."""
        key = np.empty(len(self.rank))
        key[self.rank if ant % 4 == 3 else self.best.order] = np.arange(len(self.rank))
        jitter = self.settings.jitter * (ant % 4 != 0)
        order = ants.shuffled(key, jitter, self.rank, self.tables, self.stream)
        self.evaluations += 1
        haste, thrift = self.rng.choice([0.0, 1.0, 3.0]), self.rng.choice([0.0, 1.0, 3.0])
        ants.walk(
            self.tables, self.lines, order, self.tau, self.eta, haste, thrift, self.stream,
            self.chances,
        )  # fmt: skip
        return self._seen(order, self.lines.node.copy())

    def _deepen(self) -> None:
        """Better the best of all."""
        trail = _Trail(*(part.copy() for part in vars(self.best).values()))
        self._climb(trail)
        self._keep(trail)

    def _climb(self, trail: _Trail) -> None:
        """Better one schedule, in parts between which the clock is looked at."""
        steps = self.settings.steps * len(self.rank)
        part = APART if climbing.apart(self.tables) else max(1, PART // max(1, len(self.rank)))
        while steps > 0 and not self.budget.over():
            climbing.climb(
                self.tables, self.lines, trail.order, trail.choice, trail.values, self.weights,
                min(part, steps), self.stream,
            )  # fmt: skip
            self.evaluations += min(part, steps)
            steps -= part

    def _keep(self, trail: _Trail) -> None:
        if climbing.below(trail.values, self.best.values, self.weights, True):
            self.best = _Trail(*(part.copy() for part in vars(trail).values()))

    # ------------------------------------------------------------------- trails

    def _believe(self, worth: Floats) -> None:
        """A scorer's worth of nodes as heuristic and as the first pheromone."""
        if worth.shape != self.eta.shape or not (worth > 0).all():
            raise ValueError("a scorer gives one number above 0 for every task and node")
        worth = worth / worth.max(axis=1, keepdims=True)
        low = 1 / self.settings.spread
        if self.settings.belief != "pheromone":
            self.eta = worth
        if self.settings.belief != "heuristic":
            self.tau = low + (1 - low) * worth

    def _trail(self, schedule: Schedule) -> _Trail:
        """A schedule by the order of its starts: built again, nothing begins later.

        What runs before is placed before, so each start of the schedule is still free. Only a
        sleeping node may wake later, by the first that is placed there and not the first to arrive,
        and an input may come later where it takes turns on links.
        """
        place = np.empty(len(self.rank), np.int64)
        place[self.rank] = np.arange(len(self.rank))
        order = np.lexsort((place, schedule.start))
        choice = schedule.node.copy()
        kernel.decode(self.tables, self.lines, order, choice)
        return self._seen(order, choice)

    def _seen(self, order: Ints, choice: Ints) -> _Trail:
        """The values of what the lines hold."""
        values = np.empty(4, np.int64)
        kernel.goals(self.tables, self.lines, values)
        return _Trail(order.copy(), choice, values)

    def _rejecting(self) -> _Trail:
        return self._trail(Schedule.nothing(len(self.rank)))

    def _key(self, trail: _Trail) -> tuple[int, ...]:
        return tuple((self.weights @ trail.values).tolist())

    def _sorted(self, trails: list[_Trail]) -> list[_Trail]:
        return sorted(trails, key=self._key)

    def _choose(self, trails: Sequence[_Trail]) -> _Trail:
        best = min(trails, key=self._key)
        return _Trail(*(part.copy() for part in vars(best).values()))


def colonise(
    problem: TaskProblem,
    budget: Budget,
    seed: int = 0,
    *,
    rounds: int | None = None,
    scorer: Scorer | None = None,
    settings: Settings | None = None,
) -> Schedule:
    """The best schedule of a colony and of the rules that it starts from."""
    colony = Colony(problem, seed, scorer=scorer, settings=settings)
    found = colony.run(budget, rounds)
    rules = [RULES[name](problem, seed) for name in ELITES]
    return min((found, *rules), key=lambda one: evaluate(problem, one).levels)
