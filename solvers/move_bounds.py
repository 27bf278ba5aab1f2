"""How few moves can make room for what is placed: a lower bound by prices.

For every host and every small set of items that could leave it, the room that would then be free
says what could enter at most. Let q be a price per class of pending items and m >= 0 one per class
of running items, and let a host be worth s(h), the maximum over (who leaves, who enters) of

    (prices of who enters) - (moves of who leaves) - (prices of those that leave),

at least 0. What leaves one host enters another, so its price cancels out; therefore all that is
placed together takes at least (its prices) - (sum of s) moves. Moves that earlier levels count have
a charge each, and cost it on top; what those levels allow is charged back. This is the dual of
covering what is placed by (leave, enter) patterns of the hosts. Any prices and charges give a valid
bound; good ones are found by cutting planes. Running classes that find room in many places keep the
price 0.

Limits are left out, and so are evictions that earlier levels allow (they cost nothing here); both
only lower the bound.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optsched.arrays import Bools, Ints
from optsched.budget import Budget
from optsched.solvers.move_prices import Patterns, Pricing
from optsched.solvers.move_rooms import (
    FORBIDDEN,
    Ceiling,
    Entering,
    Waiting,
    given_back,
    possible_rooms,
    room_now,
)
from optsched.solvers.relaxed import Lock, Relaxed

ATTEMPTS, PRICED_AT_ONCE = 5, 4  # rounds of giving running classes a price
PLENTY = 4  # places per item of a running class that make it worth no price


def least_moves(
    relaxed: Relaxed,
    cost: Ints,
    may_go: Bools,
    locks: Sequence[Lock],
    ceilings: Sequence[Ceiling],
    target: int,
    budget: Budget,
) -> int:
    """A lower bound of the total `cost` of the moves of any placement that keeps earlier levels.

    Parameters
    ----------
    cost
        (I,) what it costs that an item leaves its host; 0: nothing, FORBIDDEN: it cannot.
    may_go
        (I,) bool: it may be left without a host, so it need not enter another.
    locks
        Levels that say how much weight of which tiers may be left unplaced.
    ceilings
        Levels that say how many moves there may be.
    target
        A bound this high is good enough.
    """
    waiting = Waiting(relaxed, locks)
    if not waiting.needs.size:
        return 0
    best, priced = 0, np.zeros(0, np.int64)
    for _ in range(ATTEMPTS):
        entering = Entering(relaxed, waiting, cost, priced)
        rooms = possible_rooms(relaxed, cost, entering, ceilings)
        patterns = Patterns(entering, rooms, budget.share(0.3))
        if not patterns.complete and len(priced):
            break
        allowed = np.array([one.value for one in ceilings], dtype=np.int64)
        pricing = Pricing(waiting, entering, rooms, patterns, allowed, budget)
        best = max(best, pricing.bound())
        more = _worth_a_price(relaxed, cost, may_go, pricing, entering)
        if best >= target or budget.over() or not more.size:
            break
        priced = np.concatenate([priced, more])
    return best


def _worth_a_price(
    relaxed: Relaxed, cost: Ints, may_go: Bools, pricing: Pricing, entering: Entering
) -> Ints:
    """Running classes that leave hosts in the LP's solution, and find room in few places.

    Only those that must have a host: the price of what is evicted would not cancel out.
    """
    items, room = relaxed.problem.items, room_now(relaxed)
    runs = relaxed.free & (items.host0 >= 0) & (cost != FORBIDDEN) & (entering.priced < 0)
    runs &= ~may_go
    leaving = pricing.leaving()
    weight = np.zeros(len(relaxed.first))
    np.add.at(weight, relaxed.of_item[list(leaving)], list(leaving.values()))
    # What leaves for nothing is not told apart: take what alone lets something in.
    silent = np.flatnonzero(runs & (cost == 0) & np.isin(items.host0, pricing.active))
    after = room[items.host0[silent]] + given_back(relaxed)[silent]
    lets_in = np.zeros(len(silent), bool)
    for demand in entering.demand:
        lets_in |= ((after >= demand) | (demand == 0)).all(axis=1)
    weight += 0.1 * np.bincount(relaxed.of_item[silent[lets_in]], minlength=len(weight))
    classes = np.flatnonzero(weight)
    number = np.bincount(relaxed.of_item[runs], minlength=len(weight))
    places = np.array([_places(relaxed, room, int(k)) for k in classes], dtype=np.int64)
    scarce = np.flatnonzero((places < PLENTY * number[classes]) & (number[classes] > 0))
    order = np.lexsort((-weight[classes[scarce]], places[scarce]))
    return classes[scarce[order]][:PRICED_AT_ONCE]


def _places(relaxed: Relaxed, room: Ints, klass: int) -> int:
    """How many hosts have room for one item of a class as things are."""
    item = relaxed.first[klass]
    demand = relaxed.demand[item]
    fits = ((room >= demand) | (demand == 0)).all(axis=1)
    return int((fits & relaxed.open_to[relaxed.problem.where.item_eligible[item]]).sum())
