"""Simulated annealing over who sits where, with overload priced instead of forbidden.

Pricing overload lets swaps pass through states that do not fit, which is what packs hosts to the
last per mille; only states without any overload are ever reported.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .jit import jit

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SWAP, HOME, OUT = 0.65, 0.30, 0.10  # shares of proposals: swaps; of shifts: home, off all hosts
BATCH = 1000  # steps between two changes of the temperature


@jit
def draw(state: npt.NDArray[np.uint64]) -> float:
    """The next number in [0, 1) of a xorshift64* stream kept in `state` (1,) uint64."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return float((x * np.uint64(2685821657736338717)) >> np.uint64(11)) / 9007199254740992.0


@jit
def seat_cost(item: int, host: int, home: Ints, out: Floats, move: Floats) -> float:
    """What it costs that `item` sits on `host`."""
    if host < 0:
        return out[item]
    if home[item] >= 0 and host != home[item]:
        return move[item]
    return 0.0


@jit
def strain(excess: float, price: float, charge: float) -> float:
    """What one resource of one host costs that is used `excess` over its room."""
    return excess * price + charge if excess > 0 else 0.0


@jit
def overload(load: Floats, room: Floats, price: Floats, charge: float) -> float:
    """Priced overload of all hosts: by amount, and a charge for each overloaded resource."""
    total = 0.0
    for h in range(room.shape[0]):
        for r in range(room.shape[1]):
            excess = load[h, r] - room[h, r]
            if excess > 0:
                total += excess * price[r] + charge
    return total


@jit
def shift_overload(
    demand: Floats,
    load: Floats,
    room: Floats,
    price: Floats,
    charge: float,
    i: int,
    j: int,
    a: int,
    b: int,
) -> float:
    """Change of the priced overload when `i` goes from a to b and `j` (-1: none) from b to a."""
    change = 0.0
    for r in range(room.shape[1]):
        x = demand[i, r]
        if j >= 0:
            x -= demand[j, r]
        if a >= 0:
            before = load[a, r] - room[a, r]
            change += strain(before - x, price[r], charge) - strain(before, price[r], charge)
        if b >= 0:
            before = load[b, r] - room[b, r]
            change += strain(before + x, price[r], charge) - strain(before, price[r], charge)
    return change


@jit
def anneal(
    demand: Floats,
    room: Floats,
    row: Ints,
    open_to: Bools,
    home: Ints,
    host: Ints,
    out: Floats,
    move: Floats,
    price: Floats,
    charge: float,
    load: Floats,
    best: Ints,
    best_cost: float,
    temperature: float,
    cooling: float,
    batches: int,
    state: npt.NDArray[np.uint64],
) -> tuple[float, float]:
    """Run `batches` x BATCH proposals; changes `host`, `load`, `best` and `state` in place.

    Parameters
    ----------
    demand, room
        (I, R) and (H, R), in the same units; `room` is what pinned items leave.
    row, open_to
        (I,) and (E, H): host h is open to item i if `open_to[row[i], h]`. Home always is.
    home, host
        (I,) the current host (-1: pending) and where the search starts.
    out, move
        (I,) costs of having no host, and of having another than home.
    price, charge
        (R,) cost per unit of overload, and cost of each overloaded resource of a host.
    load
        (H, R) demand on each host under `host`.
    best, best_cost
        The best placement without overload so far.
    temperature, cooling
        Start, and factor per batch.
    state
        (1,) uint64, of the random stream.

    Returns
    -------
    tuple
        Cost of `best`, and the temperature reached.
    """
    items, hosts = demand.shape[0], room.shape[0]
    cost = 0.0
    for i in range(items):
        cost += seat_cost(i, host[i], home, out, move)
    over = overload(load, room, price, charge)
    for _ in range(batches):
        for _ in range(BATCH):
            i = int(draw(state) * items)
            a = host[i]
            j = -1
            if draw(state) < SWAP:
                j = int(draw(state) * items)
                b = host[j]
                if a >= 0 and a != home[j] and not open_to[row[j], a]:
                    continue
            else:
                u = draw(state)
                if u < HOME and home[i] >= 0:
                    b = home[i]
                elif u < HOME + OUT:
                    b = np.int64(-1)
                else:
                    b = np.int64(draw(state) * hosts)
            if a == b or (b >= 0 and b != home[i] and not open_to[row[i], b]):
                continue
            change = seat_cost(i, b, home, out, move) - seat_cost(i, a, home, out, move)
            if j >= 0:
                change += seat_cost(j, a, home, out, move) - seat_cost(j, b, home, out, move)
            pressure = shift_overload(demand, load, room, price, charge, i, j, a, b)
            total = change + pressure
            if total > 0 and draw(state) >= np.exp(-total / temperature):
                continue
            for r in range(room.shape[1]):
                x = demand[i, r] - (demand[j, r] if j >= 0 else 0.0)
                if a >= 0:
                    load[a, r] -= x
                if b >= 0:
                    load[b, r] += x
            host[i] = b
            if j >= 0:
                host[j] = a
            cost += change
            over += pressure
            if (
                cost < best_cost - 1e-9
                and over < 1e-7
                and overload(load, room, price, charge) == 0.0
            ):
                best_cost = cost
                best[:] = host
        temperature *= cooling
    return best_cost, temperature
