"""Closing a gap: all patterns that a better placement could use, and the integer program over them.

With prices that give the bound L, a placement worth at most T can only use patterns whose reduced
cost is at most T - L (Baldacci, Christofides and Mingozzi 2008 use the same argument for routes).
Where those are few, an integer program over them finds the better placement or proves that there
is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ortools.sat.python import cp_model

from optsched.arrays import Ints
from optsched.budget import Budget
from optsched.kernels.pricing import patterns_above
from optsched.solvers import cpsat
from optsched.solvers.linear import total, weighted
from optsched.solvers.master import Lock, Master

NODES = 500  # of one enumeration, per pattern that is allowed
MOST_NODES, PER_SECOND = 8_000_000, 10_000_000  # at all, and for each second left
PLAIN = 1_000  # patterns among which CP-SAT chooses without presolve


@dataclass(frozen=True)
class Pool:
    """Patterns of all groups: group (P,), counts (P, K) and stays (P, K)."""

    group: Ints
    counts: Ints
    stays: Ints


def patterns_within(
    master: Master,
    demand: Ints,
    prices: tuple[Ints, Ints],
    least: list[int],
    limit: int,
    budget: Budget,
) -> Pool | None:
    """All patterns worth at least `least` (per group) at the prices of copies and of stays.

    None: there are more than `limit`, or time is up.
    """
    copy, stay = prices
    groups, counts, stays = [], [], []
    total = 0
    for g, group in enumerate(master.groups):
        here = np.minimum(group.now, group.most)
        bonus = np.flatnonzero((here > 0) & (stay > 0))
        split = np.zeros(len(copy), bool)
        split[bonus] = True
        rest_copies = np.where(split, group.most - here, group.most)
        rest = np.flatnonzero(rest_copies > 0)
        which = np.concatenate([bonus, rest])
        after = np.full(len(which), -1)
        position = np.full(len(copy), -1)
        position[bonus] = np.arange(len(bonus))
        after[len(bonus) :] = position[rest]
        value = np.concatenate([(copy + stay)[bonus], copy[rest]])
        copies = np.concatenate([here[bonus], rest_copies[rest]])
        found = np.zeros((limit - total, len(which)), np.int64)
        number = patterns_above(
            group.room.astype(np.float64), demand[which].astype(np.float64), value, copies, after,
            least[g], int(min(NODES * limit, MOST_NODES, PER_SECOND * budget.remaining())), found,
        )  # fmt: skip
        if number < 0 or budget.over():
            return None
        total += number
        table = np.zeros((number, len(copy)), np.int64)
        np.add.at(table.T, which, found[:number].T)
        groups.append(np.full(number, g))
        counts.append(table)
        stays.append(np.minimum(table, group.now))
    return Pool(np.concatenate(groups), np.concatenate(counts), np.concatenate(stays))


def columns_within(master: Master, prices: tuple[Ints, Ints], least: list[int], limit: int) -> Pool:
    """The columns worth at least `least` (per group); of many, those that miss the best least."""
    copy, stay = prices
    pool = Pool(
        np.array([g for g, _, _ in master.columns], dtype=np.int64),
        np.array([counts for _, counts, _ in master.columns]).reshape(-1, len(copy)),
        np.array([stays for _, _, stays in master.columns]).reshape(-1, len(copy)),
    )
    above = pool.counts @ copy + pool.stays @ stay - np.array(least)[pool.group]
    order = np.argsort(-above, kind="stable")[:limit]
    some = order[above[order] >= 0]
    return Pool(pool.group[some], pool.counts[some], pool.stays[some])


@dataclass(frozen=True)
class Verdict:
    """How often each pattern of the pool is taken, or None; and whether nothing better exists."""

    taken: Ints | None
    none_better: bool


def choose(master: Master, pool: Pool, target: int, budget: Budget, *, seed: int = 0) -> Verdict:
    """Find whole multiples of patterns with a goal of at most `target` (CP-SAT).

    CP-SAT rather than HiGHS: it keeps its deadline to the hundredth of a second. Up to `PLAIN`
    patterns its single search answers sooner than its presolve ends.
    """
    model, many = cp_model.CpModel(), [len(group.hosts) for group in master.groups]
    take = [model.new_int_var(0, many[g], "") for g in pool.group.tolist()]
    evicted = {
        k: model.new_int_var(0, int(master.most_evicted[k]), "")
        for k in np.flatnonzero(master.tracked & (master.most_evicted > 0)).tolist()
    }
    for g, number in enumerate(many):
        model.add(total(take[p] for p in np.flatnonzero(pool.group == g).tolist()) <= number)
    for k, size in enumerate(master.classes.size.tolist()):
        used = np.flatnonzero(pool.counts[:, k])
        placed = weighted([take[p] for p in used.tolist()], pool.counts[used, k].tolist())
        model.add(placed + evicted.get(k, 0) <= size)
        if master.tracked[k]:
            model.add(placed + evicted.get(k, 0) >= int(master.classes.running[k]))
    goal = replace(master.goal, value=target)
    for lock in (*master.locks, goal):
        worth = _worth(master, pool, lock)
        used = np.flatnonzero(worth)
        parts = [take[p] for p in used.tolist()]
        gain = weighted(parts, worth[used].tolist())
        if lock.moved != lock.evicted:
            each = lock.moved - lock.evicted
            gain = gain + each * total(ev for k, ev in evicted.items() if lock.mask[k])
        model.add(gain >= master.floor(lock))
    if budget.over():
        return Verdict(None, none_better=False)
    plain = len(pool.group) <= PLAIN
    solver = cpsat.prepared(budget, seed=seed, workers=1 if plain else None)
    solver.parameters.cp_model_presolve = not plain
    status = cpsat.run(solver, model, budget)
    if status == cp_model.INFEASIBLE:
        return Verdict(None, none_better=True)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Verdict(None, none_better=False)
    return Verdict(np.array([solver.value(x) for x in take]), none_better=False)


def _worth(master: Master, pool: Pool, lock: Lock) -> Ints:
    """(P,) what each pattern adds to the row of a lock."""
    placed = np.where(lock.mask, lock.unplaced * master.weight, 0)
    return pool.counts @ placed + pool.stays @ np.where(lock.mask, lock.moved, 0)
