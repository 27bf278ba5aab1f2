"""What a schedule is worth, and what is wrong with it: the one evaluator of all task solvers.

Energy is counted over the horizon, whatever the schedule does: idle power of every node that is on,
sleep power of the others, and what each task adds. Utilisation is work over what nodes that are on
could have done. What has not answered when the horizon ends is unfinished and counts as if it
answered then; what is rejected counts as violated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optsched.arrays import NONE, Bools, Ints
from optsched.tasks.problem import TaskProblem
from optsched.tasks.schedule import Lost, Schedule
from optsched.tasks.tables import Goal


@dataclass(frozen=True)
class Evaluation:
    """Values and violations of a schedule.

    Attributes
    ----------
    violations
        One sentence each; a schedule with any is not allowed.
    levels
        Values of the problem's objective.
    finish, response, late
        (I,) ms: end of the answer (-1: rejected), arrival to answer, answer after the deadline.
    rejected, unfinished, violated
        (I,) bool; violated: late, rejected or unfinished.
    on
        (J,) bool: nodes that are on.
    node_energy
        (J,) mJ; `sent` the mJ of the network.
    utilisation
        Work done over what the nodes that are on could do until the horizon; 0 if none is on.
    fairness
        Jain's index of the work per speed of the nodes that are on; 1: all alike.
    """

    violations: tuple[str, ...]
    levels: tuple[int, ...]
    finish: Ints
    response: Ints
    late: Ints
    rejected: Bools
    unfinished: Bools
    violated: Bools
    on: Bools
    node_energy: Ints
    sent: int
    utilisation: float
    fairness: float

    @property
    def energy(self) -> int:
        """Of everything, in mJ."""
        return int(self.node_energy.sum()) + self.sent


def evaluate(problem: TaskProblem, schedule: Schedule, lost: Lost | None = None) -> Evaluation:
    """Read a schedule; what is not allowed is valued as far as that makes sense.

    `lost` are runs that were cut short before the ones of the schedule: they cost the power of
    their time, and the sending of their input, and keep their nodes on.
    """
    tasks, nodes = problem.tasks, problem.nodes
    if len(schedule) != len(tasks):
        raise ValueError(f"a schedule of {len(schedule)} tasks for a problem of {len(tasks)}")
    known = (schedule.node >= 0) & (schedule.node < len(nodes))
    node = np.where(known, schedule.node, 0)
    row = np.arange(len(tasks))
    ended = schedule.start + problem.run[row, node]
    answer = np.where(known, ended + np.maximum(problem.download[row, node], 0), NONE)
    rejected = np.asarray(schedule.node == NONE)
    unfinished = ~rejected & (answer > problem.horizon)
    seen = np.where(rejected | unfinished, problem.horizon, answer)
    response = seen - tasks.arrival
    due = np.where(tasks.deadline == NONE, np.iinfo(np.int64).max // 4, tasks.deadline)
    late = np.maximum(seen - due, 0)
    violated = rejected | unfinished | (late > 0)
    on = ~nodes.asleep | (np.bincount(node[known], minlength=len(nodes)) > 0)
    if schedule.woken is not None:
        on |= schedule.woken != NONE
    own, sent = _energy(problem, node, known, on)
    if lost is not None:
        np.add.at(own, lost.node, _in_vain(problem, lost))
        sent += int(sent_in_vain(problem)[lost.task, lost.node].sum())
    done = known & ~unfinished
    work = np.bincount(node[done], weights=tasks.work[done], minlength=len(nodes))
    values = {
        Goal.SLA: int(tasks.weight[violated].sum()),
        Goal.RESPONSE: int(response.sum()),
        Goal.ENERGY: int(own.sum()) + sent,
        Goal.LATENESS: int((tasks.weight * late).sum()),
    }
    return Evaluation(
        violations=tuple(_violations(problem, schedule, known)),
        levels=problem.objective.read(values),
        finish=answer,
        response=response,
        late=late,
        rejected=rejected,
        unfinished=unfinished,
        violated=violated,
        on=on,
        node_energy=own,
        sent=sent,
        utilisation=_share(work, on, problem),
        fairness=_jain((work / _power(problem))[on]),
    )


def _energy(problem: TaskProblem, node: Ints, known: Bools, on: Bools) -> tuple[Ints, int]:
    """(J,) mJ of the nodes, and mJ of the network."""
    nodes, rows = problem.nodes, np.flatnonzero(known)
    sent = problem.energy_sent[rows, node[rows]]
    ran = problem.energy[rows, node[rows]] - sent
    base = np.where(on, nodes.idle, nodes.sleep) * problem.horizon
    own = -(-base // 1000) + np.where(on & nodes.asleep, nodes.wake_energy, 0)
    np.add.at(own, node[rows], ran)
    return own, int(sent.sum())


def _in_vain(problem: TaskProblem, lost: Lost) -> Ints:
    """(L,) mJ of runs that were cut short."""
    nodes = problem.nodes
    power = (nodes.busy - nodes.idle)[lost.node] * problem.tasks.cores[lost.task]
    spent = power * (lost.end - lost.begin)
    return np.asarray(-(-spent // (1000 * nodes.cores[lost.node])))


def sent_in_vain(problem: TaskProblem) -> Ints:
    """(I, J) mJ of sending the input alone, as its share of what sending takes."""
    tasks = problem.tasks
    whole = np.maximum(tasks.input + tasks.output, 1)[:, None]
    return np.asarray(-(-problem.energy_sent * tasks.input[:, None] // whole))


def _share(work: np.ndarray, on: Bools, problem: TaskProblem) -> float:
    """U_on: work done over speed, cores and time of what is on."""
    could = _power(problem)[on].sum() * problem.horizon / 1000
    return float(work.sum() / could) if could else 0.0


def _power(problem: TaskProblem) -> np.ndarray:
    """(J,) million instructions per second of all cores; as floats, since they may be many."""
    return np.asarray(problem.nodes.speed.astype(float) * problem.nodes.cores)


def _jain(load: np.ndarray) -> float:
    """Jain's fairness index: (sum x)^2 / (n sum x^2)."""
    square = float((load**2).sum())
    return float(load.sum()) ** 2 / (len(load) * square) if square else 1.0


def _violations(problem: TaskProblem, schedule: Schedule, known: Bools) -> list[str]:
    """One sentence for each thing that is not allowed."""
    tasks, found = problem.tasks, list[str]()

    def tell(rows: Bools, what: str) -> None:
        found.extend(f"{tasks.names[i]!r} {what}" for i in np.flatnonzero(rows).tolist())

    tell(~known & (schedule.node != NONE), "runs on a node that does not exist")
    tell((schedule.node == NONE) & (schedule.start != NONE), "is rejected and yet begins")
    row, node = np.arange(len(tasks)), np.where(known, schedule.node, 0)
    allowed = problem.fits[row, node]
    late = tasks.hard & (_answer(problem, schedule) > tasks.deadline)
    tell(known & late, "answers after its hard deadline")
    tell(known & ~allowed & ~late, "may not run on its node")
    tell(known & (problem.sent(schedule) < tasks.arrival), "is sent before it arrives")
    tell(known & (schedule.start < problem.ready(schedule)), "begins before it is ready")
    for p, (first, second) in enumerate(tasks.before.tolist()):
        if not known[second]:
            continue
        if not known[first]:
            found.append(f"{tasks.names[second]!r} needs {tasks.names[first]!r}, which is rejected")
        elif problem.between[p, node[first], node[second]] == NONE:
            found.append(f"{tasks.names[second]!r} cannot be reached from {tasks.names[first]!r}")
    found += _overfull(problem, schedule, known)
    return found + _crowded(problem, schedule, known)


def _answer(problem: TaskProblem, schedule: Schedule) -> Ints:
    """(I,) when each task that runs has answered."""
    row, node = np.arange(len(problem.tasks)), np.maximum(schedule.node, 0)
    node = np.minimum(node, len(problem.nodes) - 1)
    return np.asarray(
        schedule.start + problem.run[row, node] + np.maximum(problem.download[row, node], 0)
    )


def _overfull(problem: TaskProblem, schedule: Schedule, known: Bools) -> list[str]:
    """Nodes that run more than they have cores or memory for, with when that is first so."""
    tasks, nodes, taken = problem.tasks, problem.nodes, problem.taken
    own = np.flatnonzero(known)
    node, begin = schedule.node[own], schedule.start[own]
    place = np.concatenate([node, taken.node])
    end = np.concatenate([begin + problem.run[own, node], taken.end])
    # Memory is taken when the data are there, which may be before a core is free.
    held = np.concatenate([np.minimum(problem.come(schedule)[own], begin), taken.held])
    begin = np.concatenate([begin, taken.begin])
    cores = np.concatenate([tasks.cores[own], taken.cores])
    memory = np.concatenate([tasks.memory[own], taken.memory])
    found = [(j, 0, "cores", now) for j, now in excesses(place, begin, end, cores, nodes.cores)]
    found += [(j, 1, "memory", now) for j, now in excesses(place, held, end, memory, nodes.memory)]
    found.sort()
    return [f"{nodes.names[j]!r} has too few {what} from {now} ms on" for j, _, what, now in found]


def _crowded(problem: TaskProblem, schedule: Schedule, known: Bools) -> list[str]:
    """Links that would have to carry several inputs at once where they take turns."""
    if not problem.route.size:
        return []
    network, own, more = problem.network, np.flatnonzero(known), problem.underway
    ways = problem.route[own, schedule.node[own]]  # (n, K, 3)
    on = ways[..., 0] != NONE
    begin, takes = (problem.sent(schedule)[own, None] + ways[..., 1])[on], ways[..., 2][on]
    lanes = np.concatenate([ways[..., 0][on], more.lane])
    end = np.concatenate([begin + takes, more.end])
    begin = np.concatenate([begin, more.begin])
    one = np.ones(2 * len(network.ends), np.int64)
    found = []
    for lane, now in excesses(lanes, begin, end, np.ones_like(begin), one):
        ends = network.ends[lane // 2].tolist()[:: -1 if lane % 2 else 1]
        here, there = (network.sites[site] for site in ends)
        found.append(f"the link from {here!r} to {there!r} has several inputs at {now} ms")
    return found


def excesses(
    place: Ints, begin: Ints, end: Ints, amount: Ints, most: Ints
) -> list[tuple[int, int]]:
    """(place, moment) where the sum of what is taken first exceeds `most` of the place.

    Each of (n,) `amount` is taken at its `place`, an index into `most`, from `begin` to `end`.
    """
    lasts = end > begin
    where = np.tile(place[lasts], 2)
    time = np.concatenate([begin[lasts], end[lasts]])
    change = np.concatenate([amount[lasts], -amount[lasts]])
    order = np.lexsort((change, time, where))  # what ends makes room for what begins then
    where, time = where[order], time[order]
    level = np.cumsum(change[order])  # it is back at 0 when a place is done
    over = np.flatnonzero(level > most[where])
    places, first = np.unique(where[over], return_index=True)
    return list(zip(places.tolist(), time[over][first].tolist(), strict=True))
