"""Dispatching rules: fast, deterministic for a seed, and what everything else is measured against.

An online rule takes the tasks in an order and gives each its node at once; a windowed one looks at
all that wait. Names as in the literature: EFT (earliest finish time), MET (least execution time),
EDF (earliest deadline first), min-min, max-min, sufferage (Maheswaran et al. 1999), HEFT (Topcuoglu
et al. 2002), and the least energy within the deadline (as ECaTSD).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from heapq import heapify, heappop, heappush

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.kernels import dispatch as kernel
from optsched.kernels.schedules import lines as empty_lines
from optsched.solvers.scheduling.flat import schedule_of, tables
from optsched.solvers.scheduling.timelines import Option, Timelines
from optsched.tasks import Schedule, TaskProblem, Tier

Choose = Callable[[Timelines, int, Sequence[Option]], Option]
Order = Callable[[TaskProblem], list[int]]
Rule = Callable[[TaskProblem, int], Schedule]


def dispatch(problem: TaskProblem, order: Iterable[int], choose: Choose) -> Schedule:
    """Give each task, in this order, the node that `choose` picks; what fits nowhere is rejected.

    The order must name every predecessor before what needs it.
    """
    lines = Timelines(problem)
    for task in order:
        options = lines.options(task)
        if options:
            lines.place(task, choose(lines, task, options))
    return lines.schedule()


# ------------------------------------------------------------------------- orders


def topological(problem: TaskProblem, key: Sequence[float]) -> list[int]:
    """Tasks by key, smallest first, none before its predecessors."""
    tasks = problem.tasks
    after: list[list[int]] = [[] for _ in tasks.names]
    waits = [0] * len(tasks)
    for first, second in tasks.before.tolist():
        after[first].append(second)
        waits[second] += 1
    heap = [(key[i], i) for i in range(len(tasks)) if not waits[i]]
    heapify(heap)
    order = []
    while heap:
        _, task = heappop(heap)
        order.append(task)
        for other in after[task]:
            waits[other] -= 1
            if not waits[other]:
                heappush(heap, (key[other], other))
    return order


def by_arrival(problem: TaskProblem) -> list[int]:
    """First come, first served."""
    return topological(problem, problem.tasks.arrival.tolist())


def by_deadline(problem: TaskProblem) -> list[int]:
    """Earliest deadline first; without one, last."""
    due = problem.tasks.deadline
    return topological(problem, np.where(due == NONE, np.inf, due).tolist())


def by_length(problem: TaskProblem) -> list[int]:
    """Weighted shortest first: least execution time for its weight, on the average node."""
    length = problem.run.mean(axis=1) / problem.tasks.weight
    return topological(problem, length.tolist())


def by_rank(problem: TaskProblem) -> list[int]:
    """HEFT's upward rank, largest first: the longest way to the end over average times."""
    tasks = problem.tasks
    sent = np.where(problem.between == NONE, 0, problem.between).mean(axis=(1, 2))
    own = problem.run.mean(axis=1)
    rank = own.copy()
    for task in reversed(by_arrival(problem)):
        rows = np.flatnonzero(tasks.before[:, 0] == task)
        further = (sent[rows] + rank[tasks.before[rows, 1]]).max(initial=0.0)
        rank[task] = own[task] + further
    return topological(problem, (-rank).tolist())


# ------------------------------------------------------------------------ choices


def soonest(lines: Timelines, task: int, options: Sequence[Option]) -> Option:
    """EFT: the earliest answer."""
    del lines, task
    return min(options, key=lambda one: (one.answer, one.node))


def fastest(lines: Timelines, task: int, options: Sequence[Option]) -> Option:
    """MET: the least execution time, whoever waits there."""
    run = lines.problem.run[task]
    return min(options, key=lambda one: (int(run[one.node]), one.answer))


def thriftiest(lines: Timelines, task: int, options: Sequence[Option]) -> Option:
    """The least energy among those that answer in time; else EFT."""
    due = int(lines.problem.tasks.deadline[task])
    timely = [one for one in options if due == NONE or one.answer <= due]
    if not timely:
        return soonest(lines, task, options)
    return min(timely, key=lambda one: (lines.cost(task, one.node), one.answer))


def nearest(lines: Timelines, task: int, options: Sequence[Option]) -> Option:
    """The least time of sending there and back."""
    problem = lines.problem
    sent = problem.upload[task] + problem.download[task]
    return min(options, key=lambda one: (int(sent[one.node]), one.answer))


def cloudiest(lines: Timelines, task: int, options: Sequence[Option]) -> Option:
    """The cloud, where it is open."""
    tier = lines.problem.nodes.tier
    return min(options, key=lambda one: (tier[one.node] != Tier.CLOUD, one.answer))


def least_loaded(lines: Timelines, task: int, options: Sequence[Option]) -> Option:
    """The node with the least work for each core (join the shortest queue)."""
    del task
    return min(options, key=lambda one: (lines.load(one.node), one.answer))


def _at_random(problem: TaskProblem, seed: int) -> Schedule:
    rng = np.random.default_rng(seed)
    return dispatch(problem, by_arrival(problem), lambda _, __, o: o[int(rng.integers(len(o)))])


def _round_robin(problem: TaskProblem, seed: int) -> Schedule:
    turn = [seed]

    def choose(lines: Timelines, task: int, options: Sequence[Option]) -> Option:
        del task
        count = len(lines.problem.nodes)
        chosen = min(options, key=lambda one: (one.node - turn[0]) % count)
        turn[0] = chosen.node + 1
        return chosen

    return dispatch(problem, by_arrival(problem), choose)


def _two_choices(problem: TaskProblem, seed: int) -> Schedule:
    """Of two nodes at random the one that answers first."""
    rng = np.random.default_rng(seed)

    def choose(lines: Timelines, task: int, options: Sequence[Option]) -> Option:
        two = rng.choice(len(options), size=min(2, len(options)), replace=False)
        return soonest(lines, task, [options[k] for k in two])

    return dispatch(problem, by_arrival(problem), choose)


# ---------------------------------------------------------------------- windowed


def _suffering(answers: Sequence[int]) -> float:
    """How much later the second best is; who has no other node suffers most."""
    ranked = sorted(answers)
    return -(ranked[1] - ranked[0]) if len(ranked) > 1 else -np.inf


def batch(
    problem: TaskProblem, seed: int, *, urgency: Callable[[Sequence[int]], float], window: int
) -> Schedule:
    """Of all that arrive within `window` ms the most urgent goes next, to its EFT node.

    Over the whole future such rules are worse than EFT one by one: what arrives late with little
    work would go first.
    """
    del seed
    lines, waiting = Timelines(problem), by_arrival(problem)
    while waiting:
        until = int(problem.tasks.arrival[waiting[0]]) + window
        placed = {*range(len(problem.tasks))} - {*waiting}
        open_ = [
            task
            for task in waiting
            if problem.tasks.arrival[task] <= until
            and {*problem.tasks.before[problem.tasks.before[:, 1] == task, 0].tolist()} <= placed
        ]
        ways = {task: lines.options(task) for task in open_}
        for task in [task for task in open_ if not ways[task]]:
            waiting.remove(task)
            del ways[task]
        if ways:
            task = min(ways, key=lambda t: (urgency([one.answer for one in ways[t]]), t))
            lines.place(task, soonest(lines, task, ways[task]))
            waiting.remove(task)
    return lines.schedule()


WINDOW = 100  # ms
TWINS: dict[str, Rule] = {  # in plain Python, what the compiled ones must agree with
    "eft": lambda p, _: dispatch(p, by_arrival(p), soonest),
    "met": lambda p, _: dispatch(p, by_arrival(p), fastest),
    "energy": lambda p, _: dispatch(p, by_arrival(p), thriftiest),
    "edf": lambda p, _: dispatch(p, by_deadline(p), soonest),
    "wspt": lambda p, _: dispatch(p, by_length(p), soonest),
    "heft": lambda p, _: dispatch(p, by_rank(p), soonest),
    "nearest": lambda p, _: dispatch(p, by_arrival(p), nearest),
    "cloud": lambda p, _: dispatch(p, by_arrival(p), cloudiest),
    "least-loaded": lambda p, _: dispatch(p, by_arrival(p), least_loaded),
    "min-min": partial(batch, urgency=min, window=WINDOW),
    "max-min": partial(batch, urgency=lambda answers: -min(answers), window=WINDOW),
    "sufferage": partial(batch, urgency=_suffering, window=WINDOW),
}


# ----------------------------------------------------------------------- compiled


def _same(problem: TaskProblem) -> Ints:
    return np.zeros((len(problem.tasks), len(problem.nodes)), np.int64)


def _ways(problem: TaskProblem) -> Ints:
    return np.asarray(problem.upload + problem.download)


def _elsewhere(problem: TaskProblem) -> Ints:
    return _same(problem) + (problem.nodes.tier != Tier.CLOUD)


def _placed(
    problem: TaskProblem,
    _: int,
    *,
    order: Order = by_arrival,
    key: Callable[[TaskProblem], Ints] = _same,
    kind: int = kernel.KEYED,
) -> Schedule:
    """Each task in the order to the node of the least key."""
    flat = tables(problem)
    lines, rank = empty_lines(flat), np.array(order(problem), np.int64)
    kernel.dispatch(flat, lines, rank, kind, np.ascontiguousarray(key(problem)))
    return schedule_of(problem, lines)


def _batched(problem: TaskProblem, _: int, *, kind: int) -> Schedule:
    """The most urgent of a window next."""
    flat = tables(problem)
    lines, rank = empty_lines(flat), np.array(by_arrival(problem), np.int64)
    kernel.batch(flat, lines, rank, kind, WINDOW)
    return schedule_of(problem, lines)


RULES: dict[str, Rule] = {
    "eft": _placed,
    "met": partial(_placed, key=lambda p: p.run),
    "energy": partial(_placed, kind=kernel.THRIFTY),
    "edf": partial(_placed, order=by_deadline),
    "wspt": partial(_placed, order=by_length),
    "heft": partial(_placed, order=by_rank),
    "nearest": partial(_placed, key=_ways),
    "cloud": partial(_placed, key=_elsewhere),
    "least-loaded": partial(_placed, kind=kernel.LEAST_LOADED),
    "random": _at_random,
    "round-robin": _round_robin,
    "two-choices": _two_choices,
    "min-min": partial(_batched, kind=kernel.SHORTEST),
    "max-min": partial(_batched, kind=kernel.LONGEST),
    "sufferage": partial(_batched, kind=kernel.SUFFERING),
}
