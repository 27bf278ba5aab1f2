"""Numbers so large that sums of them would not fit whole numbers of 64 bits."""

from __future__ import annotations

import numpy as np

from optsched.errors import ProblemError
from optsched.tasks.network import Network
from optsched.tasks.tables import Goal, Nodes, Objective, Tasks

LARGEST = 1 << 60


def refuse_large(
    network: Network, nodes: Nodes, tasks: Tasks, horizon: int, objective: Objective
) -> None:
    """Refuse what would be counted wrongly, in words that name it.

    Raises
    ------
    ProblemError
        A task, a node, a link, the horizon or a weight is too large.
    """
    if not len(nodes):
        raise ProblemError("there are no nodes; a task problem needs at least one")
    power, idle = int(nodes.busy.max()), max(int(nodes.idle.max()), int(nodes.sleep.max()))
    base = len(nodes) * (idle * horizon + int(nodes.wake_energy.max()) * 1000)
    if base > LARGEST:
        name = nodes.names[int((nodes.idle + nodes.sleep + nodes.wake_energy).argmax())]
        raise ProblemError(f"{name!r}: its energy over the horizon is too large; check its units")
    weights = sum(tasks.weight.tolist())
    late = weights * horizon
    if late > LARGEST or len(tasks) * horizon > LARGEST:
        raise ProblemError(f"the horizon of {horizon:,} ms times all weights is too large a number")
    longest = sum(network.latency.tolist())
    if longest > LARGEST // max(len(tasks), 1):
        raise ProblemError("the latencies of the links are too large numbers; they are in ms")
    spent = 0
    if len(tasks):
        i = int(tasks.work.argmax())
        run = int(tasks.work[i]) * 1000 // int(nodes.speed.min()) + 1
        spent = run * max(power, 1) * int(tasks.cores.max()) * len(tasks)
        if spent > LARGEST:
            raise ProblemError(
                f"{tasks.names[i]!r}: its work of {int(tasks.work[i]):,} is too large for the "
                "slowest node; check its unit, which is million instructions"
            )
        _refuse_slow(network, tasks)
        i = int((tasks.input + tasks.output).argmax())
        sent = int(tasks.input[i] + tasks.output[i]) * (sum(network.energy.tolist()) + 1)
        if sent * len(tasks) > LARGEST:
            raise ProblemError(
                f"{tasks.names[i]!r}: the energy of sending its data is too large a number; check "
                "its bytes, and the mJ per megabyte of the links"
            )
        spent += sent * len(tasks)
    most = {
        Goal.SLA: weights,
        Goal.RESPONSE: len(tasks) * horizon,
        Goal.ENERGY: (base + spent) // 1000 + 1,
        Goal.LATENESS: late,
    }
    for level in range(len(objective.levels)):
        weights = objective.weights(level)
        if sum(weight * most[goal] for goal, weight in weights.items()) > 4 * LARGEST:
            goal = max(weights, key=lambda one: weights[one] * most[one])
            raise ProblemError(
                f"the weight {weights[goal]:,} of {goal.value} makes the objective too large a "
                "number; weights say how goals relate, so smaller ones say the same"
            )


def _refuse_slow(network: Network, tasks: Tasks) -> None:
    """Refuse bytes that would be on their way for longer than can be counted."""
    sizes = np.maximum(tasks.input, tasks.output)
    np.maximum.at(sizes, tasks.before[:, 1], tasks.data)
    i = int(sizes.argmax())
    passing = sum(int(sizes[i]) // bandwidth + 1 for bandwidth in network.bandwidth.tolist())
    if passing * len(tasks) > LARGEST:
        raise ProblemError(
            f"{tasks.names[i]!r}: sending its data takes too large a number of milliseconds; check "
            "its bytes, and the bandwidths of the links, which are bytes per ms"
        )
