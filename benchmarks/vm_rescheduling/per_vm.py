"""A Boolean for every VM and every place it may take: the MIP's stand-in, solved by CP-SAT.

Order-safe, so that both sides answer the same question: what enters a cell fits in its initial free
room. A place that a VM does not fit into then has no Boolean.
"""

from __future__ import annotations

import numpy as np
from ortools.sat.python import cp_model

from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import PlacementProblem

SIZE = 16


def per_vm(problem: PlacementProblem, seconds: float, workers: int) -> tuple[Plan, int, int, str]:
    """The best plan found, its fragments as CP-SAT counts, their bound, and CP-SAT's status."""
    items, cells = problem.items, problem.cells
    free = cells.capacity - cells.fixed_use
    rows, columns = np.nonzero(items.cells0 >= 0)
    np.subtract.at(free, items.cells0[rows, columns], items.cell_demand[rows])
    cores = [int(x) for x in free[:, 0]]
    model = cp_model.CpModel()
    enters: list[list[tuple[cp_model.IntVar, int]]] = [[] for _ in cores]
    leaves: list[list[tuple[cp_model.IntVar, int]]] = [[] for _ in cores]
    arcs: list[tuple[int, tuple[int, ...], cp_model.IntVar]] = []
    hosts = [np.flatnonzero(cells.host == h) for h in range(len(problem.hosts))]
    for item in np.flatnonzero(items.movable).tolist():
        demand, needed = items.cell_demand[item], int(items.cells_needed[item])
        room = (free >= demand).all(axis=1)
        own = [int(c) for c in items.cells0[item, :needed]]
        if needed == 1:
            places = [(int(c),) for c in np.flatnonzero(room) if int(c) != own[0]]
        else:
            places = [
                tuple(int(c) for c in pair)
                for h, pair in enumerate(hosts)
                if h != items.host0[item] and len(pair) == needed and room[pair].all()
            ]
        if not places:
            continue
        taken = [model.new_bool_var("") for _ in places]
        left = model.new_bool_var("")
        model.add(sum(taken) == left)
        for place, one in zip(places, taken, strict=True):
            arcs.append((item, place, one))
            for cell in place:
                enters[cell].append((one, item))
        for cell in own:
            leaves[cell].append((left, item))
    blocks = []
    for c, has in enumerate(cores):
        comes = sum(int(items.cell_demand[i, 0]) * x for x, i in enters[c])
        goes = sum(int(items.cell_demand[i, 0]) * x for x, i in leaves[c])
        model.add(comes <= has)
        memory = sum(int(items.cell_demand[i, 1]) * x for x, i in enters[c])
        model.add(memory <= int(free[c, 1]))
        block = model.new_int_var(0, int(cells.capacity[c, 0]) // SIZE, "")
        model.add(SIZE * block <= has - comes + goes)
        blocks.append(block)
    model.add(sum(one for _, _, one in arcs) <= problem.max_moves)
    model.maximize(sum(blocks))
    for _, _, one in arcs:
        model.add_hint(one, 0)
    for c, block in enumerate(blocks):
        model.add_hint(block, cores[c] // SIZE)
    search = cp_model.CpSolver()
    search.parameters.max_time_in_seconds = seconds
    search.parameters.num_workers = workers
    status = search.solve(model)
    total = sum(max(one, 0) for one in cores)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return Plan(problem.digest(), Order.SAFE), _fragments(cores), 0, search.status_name(status)
    moves = tuple(
        Move(item, int(items.host0[item]), int(cells.host[place[0]]), place)
        for item, place, one in arcs
        if search.boolean_value(one)
    )
    # Early bounds of CP-SAT count more blocks than there are free cores for.
    bound = max(0, total - SIZE * int(search.best_objective_bound + 1e-6))
    waves = (Wave(moves),) if moves else ()
    plan = Plan(problem.digest(), Order.SAFE, waves)
    return plan, _fragments(_after(problem, cores, moves)), bound, search.status_name(status)


def _after(problem: PlacementProblem, cores: list[int], moves: tuple[Move, ...]) -> list[int]:
    """Free cores once the moves are made."""
    after, items = [*cores], problem.items
    for move in moves:
        need = int(items.cell_demand[move.item, 0])
        for old in items.cells0[move.item, : len(move.cells)].tolist():
            after[old] += need
        for new in move.cells:
            after[new] -= need
    return after


def _fragments(cores: list[int]) -> int:
    return sum(max(one, 0) % SIZE for one in cores)
