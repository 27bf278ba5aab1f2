"""Annealing of a whole packing: every item has a host, and overload is what is minimised."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .annealing import draw
from .jit import jit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

BATCH = 1000  # steps between two changes of the temperature
SETTLED = 1e-9  # overload that is rounding
SWAP = 0.7  # share of proposals that swap two items; the others shift one


@jit
def excess(load: Floats, room: Floats) -> float:
    """Overload of all hosts and resources together."""
    total = 0.0
    for h in range(room.shape[0]):
        for r in range(room.shape[1]):
            total += max(load[h, r] - room[h, r], 0.0)
    return total


@jit
def settle(
    demand: Floats,
    room: Floats,
    row: Ints,
    open_to: Bools,
    home: Ints,
    away: float,
    host: Ints,
    load: Floats,
    temperature: float,
    cooling: float,
    batches: int,
    stream: npt.NDArray[np.uint64],
) -> float:
    """Shift and swap items until no host is overloaded, or the batches are used up.

    Changes `host`, `load` and `stream` in place.

    Parameters
    ----------
    demand, room
        (I, R) and (H, R), in units in which overload of any resource is equally bad.
    row, open_to
        (I,) and (E, H): host h is open to item i if `open_to[row[i], h]`. Home always is.
    home, away
        (I,) a host that an item should rather not leave (-1: it has none), and the price of that.
    host, load
        (I,) where the search starts, and (H, R) the demand on each host.
    temperature, cooling
        Start, and factor per batch.
    stream
        (1,) uint64, of the random numbers.

    Returns
    -------
    float
        The overload that is left.
    """
    items, hosts = demand.shape[0], room.shape[0]
    left = excess(load, room)
    for _ in range(batches):
        for _ in range(BATCH):
            i = int(draw(stream) * items)
            a, j, b = host[i], -1, 0
            if draw(stream) < SWAP:
                j = int(draw(stream) * items)
                b = host[j]
                if a != home[j] and not open_to[row[j], a]:
                    continue
            else:
                b = int(draw(stream) * hosts)
            if a == b or (b != home[i] and not open_to[row[i], b]):
                continue
            strain = 0.0
            for r in range(room.shape[1]):
                x = demand[i, r] - (demand[j, r] if j >= 0 else 0.0)
                over_a, over_b = load[a, r] - room[a, r], load[b, r] - room[b, r]
                strain += max(over_a - x, 0.0) - max(over_a, 0.0)
                strain += max(over_b + x, 0.0) - max(over_b, 0.0)
            moves = int(home[i] == a) - int(home[i] == b)
            if j >= 0:
                moves += int(home[j] == b) - int(home[j] == a)
            change = strain + away * moves
            if change > 0 and draw(stream) >= np.exp(-change / temperature):
                continue
            for r in range(room.shape[1]):
                x = demand[i, r] - (demand[j, r] if j >= 0 else 0.0)
                load[a, r] -= x
                load[b, r] += x
            host[i] = b
            if j >= 0:
                host[j] = a
            left += strain
            if left < SETTLED:
                left = excess(load, room)
                if left < SETTLED:
                    return 0.0
        temperature *= cooling
    return excess(load, room)
