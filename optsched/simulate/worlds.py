"""What happens to tasks whatever is decided: all randomness of a run, drawn before it begins.

Execution times, bandwidths and failures come from streams of their own, so that a change of one
leaves the others as they are, and every policy meets the same work on the same links and nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from optsched.arrays import NONE, Ints
from optsched.errors import InputError, ProblemError
from optsched.kernels import event_tables as tables
from optsched.tasks import TaskProblem
from optsched.tasks.evaluation import sent_in_vain

FAR = tables.NEVER
MANY = 1 << 60  # bytes; more than any problem may have
STEP = 1000  # ms between two changes of the bandwidth of a site


@dataclass(frozen=True)
class Knobs:
    """How far the world differs from what is believed of it; all off by default.

    Attributes
    ----------
    noise
        Standard deviation of the logarithm of true over believed work (its mean is the believed).
    drift
        Standard deviation of the logarithm of each site's bandwidth, which wanders about its
        nominal value (a first-order autoregression, a step a second with weight 0.9).
    stale
        Age in milliseconds of what is known of that bandwidth.
    failures
        Per node, how many per hour.
    repair
        Mean milliseconds until a node is back.
    requeue
        Whether tasks on a node that fails wait again; else they are rejected.
    """

    noise: float = 0.0
    drift: float = 0.0
    stale: int = 0
    failures: float = 0.0
    repair: int = 5000
    requeue: bool = True

    def __post_init__(self) -> None:
        for name in ("noise", "drift", "stale", "failures"):
            value = getattr(self, name)
            if not 0 <= value < 1e6:
                raise InputError(f"{name} is {value}: give a number from 0 on")
        if not 0 < self.repair < FAR:
            raise InputError(f"repair is {self.repair}: give milliseconds above 0")


@dataclass(frozen=True)
class World:
    """A task problem as it is believed and as it turns out, and what fails when.

    Attributes
    ----------
    seen
        What a scheduler is told: estimates of work, bandwidth as last measured.
    true
        What happens: other work, other bytes where the bandwidth differs (half the bandwidth takes
        as long, and as much power of the sender, as twice the bytes).
    failures
        (F, 3) time in ms, node, 1: it breaks or 0: it is back; by time.
    requeue
        See `Knobs`.
    """

    seen: TaskProblem
    true: TaskProblem
    failures: Ints
    requeue: bool = True

    @classmethod
    def of(cls, problem: TaskProblem, knobs: Knobs | None = None, seed: int = 0) -> World:
        """Draw what happens to a problem."""
        wish = knobs or Knobs()
        work, wandering, failing = (
            np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(3)
        )
        tasks = problem.tasks
        seen = true = problem
        if wish.drift:
            factor = _bandwidths(wandering, problem, wish.drift)
            now = tasks.arrival // STEP
            before = np.maximum(tasks.arrival - wish.stale, 0) // STEP
            true = _slowed(problem, factor[tasks.source, now])
            seen = true if not wish.stale else _slowed(problem, factor[tasks.source, before])
        if wish.noise:
            spread = work.lognormal(-(wish.noise**2) / 2, wish.noise, len(tasks))
            done = np.maximum(np.rint(tasks.work * spread), np.minimum(tasks.work, 1))
            true = true.replace(tasks=_frozen(replace(true.tasks, work=done.astype(np.int64))))
        failures = np.zeros((0, 3), np.int64)
        if wish.failures:
            failures = _failures(failing, problem, wish)
        return cls(seen, true, failures, wish.requeue)

    def setting(self, rank: Ints) -> tables.Setting:
        """The world as the kernel reads it; of what waits, the smallest rank (I,) is next."""
        seen, true, nodes, tasks = self.seen, self.true, self.seen.nodes, self.seen.tasks
        pair = np.stack(
            [
                seen.fits, np.maximum(seen.upload, 0), seen.run, np.maximum(seen.download, 0),
                seen.energy, np.maximum(true.upload, 0), true.run, np.maximum(true.download, 0),
                true.energy, sent_in_vain(true),
            ]
        ).astype(np.int64)  # fmt: skip
        own, count = np.arange(len(tasks)), len(tasks.before)
        by_first = np.argsort(tasks.before[:, 0], kind="stable")
        second = tasks.before[by_first, 1]
        pred = (
            np.searchsorted(tasks.before[:, 1], own),
            np.searchsorted(tasks.before[:, 1], own, side="right"),
        )
        ordered = tasks.before[by_first, 0]
        succ = np.searchsorted(ordered, own), np.searchsorted(ordered, own, side="right")
        table = np.stack(
            [
                tasks.arrival, tasks.cores, tasks.memory,
                np.where(tasks.deadline == NONE, FAR, tasks.deadline), tasks.hard, tasks.weight,
                rank, *pred, *succ,
            ]
        ).astype(np.int64)  # fmt: skip
        off, on = (-(-power * seen.horizon // 1000) for power in (nodes.sleep, nodes.idle))
        host = np.stack(
            [
                nodes.cores, nodes.memory, nodes.wake_time, nodes.asleep,
                on - off + nodes.wake_energy, nodes.busy - nodes.idle,
            ]
        ).astype(np.int64)  # fmt: skip
        taken = seen.taken
        more = np.zeros((tables.PAIRS, len(taken), len(nodes)), np.int64)
        rows = np.arange(len(taken))
        for kind in (tables.RUN, tables.RUN_TRUE):
            more[kind, rows, taken.node] = taken.end - taken.begin
        extra = np.zeros((tables.TASKS, len(taken)), np.int64)
        extra[tables.CORES], extra[tables.MEMORY] = taken.cores, taken.memory
        arrivals = np.lexsort((own, tasks.arrival))
        offered = np.zeros((len(nodes), len(tasks) + 1), np.int64)
        offered[:, 1:] = np.cumsum((seen.run * tasks.cores[:, None])[arrivals], axis=0).T
        base = int(np.where(nodes.asleep, off, on).sum())
        ways, underway = self._turns()
        nobody = np.full((len(ways), len(taken), len(nodes)), NONE)
        whole = np.concatenate([pair, more], axis=1), np.concatenate([ways, nobody], axis=1)
        held = np.stack([taken.node, taken.held, taken.begin], axis=1)
        return tables.Setting(
            np.concatenate(whole),
            np.concatenate([table, extra], axis=1),
            host,
            np.ascontiguousarray(tasks.before[:, 0]),
            np.ascontiguousarray(second),
            seen.between.reshape(count, len(nodes), len(nodes)),
            arrivals,
            self.failures,
            np.concatenate([held, underway]),
            offered,
            np.array([seen.horizon, base, self.requeue], np.int64),
        )

    def _turns(self) -> tuple[Ints, Ints]:
        """(WAYS K, I, J) ways over links that are shared; (U, 3) what is under way on them."""
        seen, true, own = self.seen, self.true, lanes(self.seen)

        def rows(lane: Ints) -> Ints:
            return np.asarray(len(seen.nodes) + tables.TURNS * np.searchsorted(own, lane))

        lane = np.where(seen.route[..., :1] == NONE, NONE, rows(seen.route[..., :1]))
        ways = np.concatenate([lane, seen.route[..., 1:], true.route[..., 1:]], axis=3)
        shape = tables.WAYS * ways.shape[2], *ways.shape[:2]
        more = seen.underway
        underway = np.stack([rows(more.lane), more.begin, more.end], axis=1)
        return ways.transpose(2, 3, 0, 1).reshape(shape), underway[more.end > more.begin]


def lanes(problem: TaskProblem) -> Ints:
    """The lanes (`TaskProblem.route`) that anything of the problem takes, ascending."""
    more = problem.underway
    busy = more.lane[more.end > more.begin]
    found = np.unique(np.concatenate([problem.route[..., 0].ravel(), busy]))
    return np.asarray(found[found != NONE])


def _bandwidths(rng: np.random.Generator, problem: TaskProblem, spread: float) -> np.ndarray:
    """(V, steps) what the bandwidth that each site sees is worth of the nominal one."""
    steps = problem.horizon // STEP + 1
    shocks = rng.normal(size=(len(problem.network), steps))
    level = np.empty_like(shocks)
    level[:, 0] = shocks[:, 0]
    for step in range(1, steps):
        level[:, step] = 0.9 * level[:, step - 1] + np.sqrt(1 - 0.9**2) * shocks[:, step]
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.exp(spread * level))


def _slowed(problem: TaskProblem, factor: np.ndarray) -> TaskProblem:
    """The problem with other bandwidths, as bytes that take as long.

    Raises
    ------
    InputError
        Some would take longer than can be counted.
    """
    tasks, sent = problem.tasks, dict[str, Any]()
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        for name in ("input", "output"):
            given = getattr(tasks, name)
            worth = np.maximum(np.ceil(given / factor), np.minimum(given, 1))
            sent[name] = np.where(given > 0, np.minimum(worth, MANY), 0).astype(np.int64)
    try:
        return problem.replace(tasks=_frozen(replace(tasks, **sent)))
    except ProblemError as error:
        raise InputError(
            "so large a drift lets bandwidths all but vanish, and sending takes longer than can be "
            "counted; give a smaller one"
        ) from error


def _frozen(tasks: object) -> object:
    for column in vars(tasks).values():
        if isinstance(column, np.ndarray):
            column.setflags(write=False)
    return tasks


def _failures(rng: np.random.Generator, problem: TaskProblem, wish: Knobs) -> Ints:
    """(F, 3) by time; each node lives and is repaired for exponential times."""
    rows = []
    for node in range(len(problem.nodes)):
        now = 0.0
        while True:
            now += rng.exponential(3_600_000 / wish.failures)
            if now >= problem.horizon:
                break
            back = now + 1 + rng.exponential(wish.repair)
            rows += [(int(now), node, 1), (int(back), node, 0)]
            now = back + 1
    rows.sort()
    return np.array(rows, np.int64).reshape(-1, 3)
