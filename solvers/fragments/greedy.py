"""`fragments-greedy`: one move at a time, always the best, ties to the fullest rest of a block."""

from __future__ import annotations

import time
from collections import defaultdict

import numpy as np

from optsched.budget import Budget
from optsched.kernels.ascent import ascend
from optsched.plan import Order, Placement, Plan
from optsched.problem import PlacementProblem
from optsched.result import Bound, Result, conclude
from optsched.solvers.fragments.building import build
from optsched.solvers.fragments.decode import Places, place_items
from optsched.solvers.fragments.goals import goals_of
from optsched.solvers.fragments.model import Model
from optsched.solvers.fragments.trim import keep_allowed
from optsched.solvers.search import starting

DRAIN = 1e9  # for what leaves a host that is to be emptied: before anything else


class FragmentsGreedy:
    """Steepest ascent; the baseline, and the first placement of `fragments`."""

    name = "fragments-greedy"

    def supports(self, problem: PlacementProblem) -> str | None:
        """None, or one sentence why exchanges cannot express the problem."""
        model = _model(problem)
        return model if isinstance(model, str) else None

    def solve(
        self,
        problem: PlacementProblem,
        budget: Budget,
        *,
        seed: int = 0,
        start: Plan | None = None,
        order: Order = Order.WAVES,
    ) -> Result:
        """A checked plan without bounds."""
        del budget, seed
        started = time.monotonic()
        model = _model(problem)
        given = starting(problem, start)
        placement = given if isinstance(model, str) else steepest(model)
        bounds: list[Bound | None] = [None] * len(problem.objective)
        return conclude(
            problem, placement, bounds, solver=self.name, started=started, order=order,
            others=[given],
        )  # fmt: skip


def _model(problem: PlacementProblem) -> Model | str:
    goals = goals_of(problem)
    if isinstance(goals, str):
        return goals
    level = problem.objective[goals.fragments]
    if len({term.resource for term in level.terms}) > 1:
        return "fragments of several resources at once are left to greedy"
    return build(problem, level, safe=True)


def steepest(model: Model) -> Placement:
    """The placement that single moves lead to, each onto what is free now.

    Where several resources count, the current one: what is compiled knows one.
    """
    problem, shapes, cells = model.problem, model.shapes, model.cells
    if not len(shapes) or len({term.resource for term in model.terms}) > 1:
        return Placement.current(problem)
    first = np.array([members[0] for members in shapes.members])
    demand = problem.items.cell_demand[first]
    terms = model.terms
    resource = terms[0].resource
    start = np.searchsorted(problem.cells.host, np.arange(len(problem.hosts) + 1))
    group = np.zeros(len(problem.hosts), np.int64)
    group[problem.cells.host] = cells.group[cells.of_cell]
    narrow_at = np.zeros((len(problem.cells), len(shapes)), np.int64)
    narrow_at[:, : shapes.narrow] = cells.residents[cells.of_cell]
    wide_at = np.zeros((len(problem.hosts), len(shapes)), np.int64)
    pairs = model.hosts.of_host >= 0
    wide_at[pairs, shapes.narrow :] = model.hosts.residents[model.hosts.of_host[pairs]]
    moves = np.empty((model.moves, 3), np.int64)
    count = ascend(
        start, problem.cells.host.copy(), model.free[:, resource].copy(), model.free.copy(), demand,
        resource, shapes.narrow, narrow_at, wide_at, model.allowed, group,
        np.where(problem.hosts.drain, DRAIN, 0.0), np.array([t.size for t in terms]),
        np.array([t.cells == 2 for t in terms]), np.array([t.weight for t in terms]), moves,
    )  # fmt: skip
    sources: Places = defaultdict(list)
    targets: Places = defaultdict(list)
    for k, source, target in moves[:count].tolist():
        sources[k].append(source)
        targets[k].append(target)
    return keep_allowed(problem, place_items(problem, shapes.members, sources, targets))
