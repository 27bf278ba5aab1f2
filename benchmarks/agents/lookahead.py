"""A decider for arriving pods that knows the generator: how much is there to be had online at all?

For the pod that arrives it draws futures from the published recipe, given the pods so far, how many
come and how large the nodes are, and plays each choice to the end in each of the same futures. It
takes what is worth most on average, where that is better than the agent's own choice by more than
the standard error of the difference; what few futures seem to tell is noise. Choices to come are
the agent's best ones, so this is one step of policy iteration from the agent (a rollout: Bertsekas
and Castañon, 1999). It takes thousands of episodes for one pod: a measure, not something to serve.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from optsched.arrays import Ints
from optsched.envs.pod_batch import PodPackingBatch
from optsched.envs.pool import Pool
from optsched.generate.arrivals import USAGES
from optsched.generate.paper import CPU, MEMORY, REPLICAS
from optsched.problem import PlacementProblem
from optsched.simulate.pod_sight import alike, distinct
from optsched.solvers.policy_pods import PodAgent

TRIED = 32  # futures drawn for each that is kept
RATIO = 4.0  # how much more a pod of a tier is worth than one of the next


def futures(
    problem: PlacementProblem, at: int, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, Ints]:
    """(F, K, 2) demands and (F, K) tiers of the pods after the one at `at`, as they may come.

    The recipe sizes nodes so that all pods ask for one of few shares of them, of both resources. So
    of `TRIED` times as many draws those are kept that come nearest to one of these shares
    (approximate Bayesian computation).
    """
    items, many = problem.items, count * TRIED
    coming = len(items) - at - 1
    demand, tier = np.zeros((many, coming, 2), np.int64), np.zeros((many, coming), np.int64)
    first = at
    while first > 0 and items.owner[first - 1] == items.owner[at]:
        first -= 1
    so_far = at - first + 1
    # Its ReplicaSet has at least the pods that came, at most as many as there may be.
    left = rng.integers(so_far, min(REPLICAS[1], len(items) - first) + 1, many) - so_far
    ask, own = np.tile(items.demand[at], (many, 1)), np.full(many, items.tier[at])
    for pod in range(coming):
        new = np.flatnonzero(left == 0)
        left[new] = rng.integers(REPLICAS[0], min(REPLICAS[1], coming - pod) + 1, len(new))
        for resource, (low, high) in enumerate((CPU, MEMORY)):
            ask[new, resource] = rng.integers(low, high + 1, len(new))
        own[new] = rng.integers(0, len(problem.tiers), len(new))
        demand[:, pod], tier[:, pod] = ask, own
        left -= 1
    asked = items.demand[: at + 1].sum(axis=0) + demand.sum(axis=1)
    shares = asked / problem.hosts.capacity.sum(axis=0)
    away = np.abs(shares[:, None] - np.array(USAGES)[:, None] / 100).max(axis=2).min(axis=1)
    kept = away.argsort()[:count]
    return demand[kept], tier[kept]


def looked_ahead(
    agent: PodAgent, problems: Sequence[PlacementProblem], nodes: int, count: int, seed: int
) -> list[tuple[int, ...]]:
    """Pods placed per tier on each of the problems, with `count` futures for every decision."""
    rng = np.random.default_rng(seed)
    batch = PodPackingBatch(len(problems), Pool(lambda seed: problems[0]), nodes, RATIO)
    seen = batch.begin(list(problems))
    while not batch.over.all():
        masks, going = batch.action_masks(), np.flatnonzero(~batch.over).tolist()
        scores = np.where(masks, agent.scores(seen["hosts"], seen["task"]), -np.inf)
        actions = scores.argmax(axis=1)
        tried = [(n, action) for n in going for action in distinct(seen["hosts"][n], masks[n])]
        # What is decided already needs no look ahead.
        of = np.array([n for n, _ in tried])
        several = [k for k in range(len(tried)) if (of == of[k]).sum() > 1]
        tried = [tried[k] for k in several]
        if tried:
            worth = _worths(agent, batch, problems, tried, count, rng)
            for n in {n for n, _ in tried}:
                known = {a: worth[k] for k, (m, a) in enumerate(tried) if m == n}
                own = next(a for a in known if a in alike(seen["hosts"][n], masks[n], actions[n]))
                actions[n] = better(own, known)
        batch.play(actions)
        seen = batch.see()
    return [tuple(batch.placed(n)) for n in range(len(problems))]


def better(own: int, worth: dict[int, np.ndarray]) -> int:
    """The action worth most on average, or `own` where that is not surely better.

    Parameters
    ----------
    worth
        (F,) of each action, in the same futures.
    """
    best = max(worth, key=lambda action: float(worth[action].mean()))
    gains = worth[best] - worth[own]
    error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return best if gains.mean() > error else own


def _worths(
    agent: PodAgent,
    batch: PodPackingBatch,
    problems: Sequence[PlacementProblem],
    tried: list[tuple[int, int]],
    count: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """(K, F) what each choice (environment, action) earns in the end, in the same futures."""
    drawn = {
        n: futures(problems[n], len(batch.bound[n]), count, rng)
        for n in sorted({n for n, _ in tried})
    }
    ahead = batch.copies(np.repeat([n for n, _ in tried], count))
    for k, (n, _) in enumerate(tried):
        demand, tier = drawn[n]
        for f in range(count):
            ahead.foresee(k * count + f, demand[f], tier[f])
    ahead.play(np.repeat([action for _, action in tried], count))
    seen = ahead.see()
    actions = np.zeros(ahead.num_envs, np.int64)
    while not ahead.over.all():
        going = ~ahead.over
        scores = agent.scores(seen["hosts"][going], seen["task"][going])
        actions[going] = np.where(ahead.action_masks()[going], scores, -np.inf).argmax(axis=1)
        ahead.play(actions)
        seen = ahead.see()
    return ahead.earned().reshape(len(tried), count).round(9)
