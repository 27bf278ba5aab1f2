"""Rows of migrations against rules, objective and state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from optsched.arrays import Bools, Ints
from optsched.check import check
from optsched.generate.vm import snapshot
from optsched.kernels import layout, sight
from optsched.kernels import migration as kernel
from optsched.levels import Level, Term, TermKind
from optsched.objective import evaluate, scalar, scalar_weights
from optsched.options import with_drain, with_pins
from optsched.plan import Order, Plan
from optsched.problem import Hosts, Items, Limit, LimitKind, Limits, PlacementProblem
from optsched.rules import Room, candidates, cell_fits
from optsched.simulate.migration import Start, start, unfit
from optsched.state import State
from optsched.waves import WaveRoom

MAKERS: dict[str, Callable[[int], PlacementProblem]] = {
    "plain": lambda seed: snapshot(seed, pms=5),
    "mixed": lambda seed: snapshot(seed, pms=6, memory="mixed", load="middle"),
    "apart": lambda seed: snapshot(seed, pms=6, load="low", apart=6),
    "most": lambda seed: _at_most(snapshot(seed, pms=6, load="low", apart=4)),
    "levels": lambda seed: _levels(snapshot(seed, pms=5, load="middle")),
    "drain": lambda seed: with_drain(snapshot(seed, pms=6, load="low"), ["pm-1", "pm-3"]),
    "pins": lambda seed: _pinned(snapshot(seed, pms=5)),
}


def _at_most(problem: PlacementProblem) -> PlacementProblem:
    """A conflict one way, and at most so many of a group on a host or in all."""
    keep = Limits.of(
        [
            Limit(LimitKind.CONFLICT, key=0, subject=0, counted=1, name="one way"),
            Limit(LimitKind.MAX, key=0, subject=2, counted=2, bound=2, name="two"),
            Limit(LimitKind.MAX, key=-1, subject=0, counted=0, bound=9, name="nine"),
        ]
    )
    return problem.replace(limits=keep)


def _levels(problem: PlacementProblem) -> PlacementProblem:
    """Two kinds of blocks with a goal, then moves."""
    blocks = (
        Term(TermKind.FRAGMENTS, weight=2, size=16),
        Term(TermKind.FRAGMENTS, size=32, cells=2),
    )
    goal = evaluate(problem, State(problem).placement())[0] * 2
    moved = Level("moved", (Term(TermKind.MOVED, weight=3),))
    return problem.replace(objective=(Level("fragments", blocks, goal=goal), moved))


def _pinned(problem: PlacementProblem) -> PlacementProblem:
    return with_pins(problem, problem.items.names[::3])


def room_of(begun: Start, moves: list[tuple[int, int]]) -> tuple[Room, State]:
    """What the rules look at after some moves, and the state."""
    problem = begun.problem
    state, room = State(problem), WaveRoom(State(problem))
    for move in begun.plan(moves).moves():
        state.place(move.item, move.target, move.cells)
        assert room.join(move.item, move.target, np.array(move.cells)) or begun.order is Order.WAVES
    return (room if begun.order is Order.SAFE else state), state


def legal_cells(room: Room, item: int) -> Bools:
    """(C,) what the rules allow as a target, items on two cells by the first of the host."""
    problem, items = room.problem, room.problem.items
    hosts = candidates(room, item)[problem.cells.host]
    own = room.cells[item]
    if items.cells_needed[item] == 1:
        fits = cell_fits(room, item) & hosts
        fits[own[own >= 0]] = False
        return fits
    return hosts & (np.diff(problem.cells.host, prepend=-1) > 0)


def fresh(begun: Start, moves: list[tuple[int, int]]) -> Ints:
    """The row after some moves (no group chosen), from `State` and `objective` alone."""
    problem, row = begun.problem, begun.row.copy()
    room, state = room_of(begun, moves)
    count = np.array([len(members) for members in begun.members])
    for group, _ in moves:
        count[group] -= 1
    bare = problem.replace(objective=tuple(replace(lv, goal=0) for lv in problem.objective))
    for name, values in (
        (layout.FREE, problem.cells.capacity - state.cell_use),
        (layout.ROOM, problem.cells.capacity - room.cell_use),
        (layout.COUNT, count),
        (layout.TALLY, room.counts[:]),
        (layout.TOTAL, np.array(evaluate(bare, state.placement()))),
        (layout.HISTOGRAM, np.zeros(layout.HISTOGRAMS * layout.BINS, np.int64)),
    ):
        row[row[name] : row[name] + values.size] = values.ravel()
    row[layout.MADE] = len(moves)
    row[layout.OVER] = len(moves) >= row[layout.LIMIT]
    for host in range(len(problem.hosts)):
        sight.measure_host(row, host)
        sight.count_host(row, host, 1)
    return row


class Walk:
    """A batch of one, and the tables that a policy sees."""

    def __init__(self, begun: Start) -> None:
        self.begun = begun
        self.rows = begun.row[None].copy()
        self.cells = np.zeros((1, begun.cells, layout.CELL_WIDE), np.float32)
        self.groups = np.zeros((1, begun.groups, layout.GROUP_WIDE), np.float32)
        self.tasks = np.zeros((1, layout.TASK_WIDE), np.float32)
        self.masks = np.zeros((1, begun.groups + begun.cells + 1), bool)
        self.gains, self.ends = np.zeros(1, np.int64), np.zeros(1, np.int64)
        kernel.show(self.rows[0], self.cells[0], self.groups[0], self.tasks[0], self.masks[0])

    def step(self, action: int) -> tuple[int, int]:
        """By how much the objective fell, and how the step ended."""
        kernel.step(
            self.rows, np.array([action]), self.cells, self.groups, self.tasks, self.masks,
            self.gains, self.ends,
        )  # fmt: skip
        return int(self.gains[0]), int(self.ends[0])

    def tables(self) -> Iterator[np.ndarray]:
        """All there is."""
        yield from (self.rows, self.cells, self.groups, self.tasks, self.masks)


def random_moves(walk: Walk, rng: np.random.Generator, most: int) -> Iterator[tuple[int, int, int]]:
    """(group, cell, gain) of random legal migrations, up to the end."""
    for _ in range(most):
        choices = np.flatnonzero(walk.masks[0, :-1])
        if not len(choices):
            return
        group = int(rng.choice(choices))
        walk.step(group)
        target = int(rng.choice(np.flatnonzero(walk.masks[0])))
        gain, _ = walk.step(target)
        yield group, target - walk.begun.groups, gain


@pytest.mark.parametrize("order", [Order.SAFE, Order.WAVES])
@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_every_step_is_what_rules_and_objective_say(kind: str, order: Order) -> None:
    """Masks are what is allowed, rewards add up to the objective, to the end of random episodes."""
    for seed in range(3):
        begun = start(MAKERS[kind](seed), 12, order)
        walk, rng, moves = Walk(begun), np.random.default_rng(seed), []
        weights, problem = scalar_weights(begun.problem), begun.problem
        first = scalar(evaluate(problem, State(problem).placement()), weights)
        taken, total = np.zeros(begun.groups, np.int64), 0
        while True:
            room, state = room_of(begun, moves)
            legal = [
                legal_cells(room, int(members[taken[g]])) if taken[g] < len(members) else None
                for g, members in enumerate(begun.members)
            ]
            open_now = [one is not None and bool(one.any()) for one in legal]
            if len(moves) < 12:
                assert walk.masks[0, : begun.groups].tolist() == open_now
            assert not walk.masks[0, begun.groups : -1].any()
            assert walk.masks[0, -1] == (len(moves) < 12)
            assert begun.levels(walk.rows[0]) == evaluate(problem, state.placement())
            choices = np.flatnonzero(walk.masks[0, :-1])
            if not len(choices):
                break
            group = int(rng.choice(choices))
            assert walk.step(group) == (0, layout.LEGAL)
            assert walk.masks[0, begun.groups : -1].tolist() == legal[group].tolist()
            assert not walk.masks[0, : begun.groups].any()
            assert not walk.masks[0, -1]
            cell = int(rng.choice(np.flatnonzero(legal[group])))
            total += walk.step(begun.groups + cell)[0]
            taken[group] += 1
            moves.append((group, cell))
        last = scalar(evaluate(problem, room_of(begun, moves)[1].placement()), weights)
        assert total == first - last
        report = check(problem, begun.plan(moves))
        assert not report.violations
        assert moves


@pytest.mark.parametrize("order", [Order.SAFE, Order.WAVES])
def test_ten_thousand_moves_leave_no_drift(order: Order) -> None:
    """The row and all that is shown are, bit for bit, what a fresh look at the state gives."""
    made, seed = 0, 0
    while made < 5_000:
        kind = ("plain", "mixed", "apart")[seed % 3]
        base = MAKERS[kind](seed) if seed % 4 else snapshot(seed, pms=120, load="low")
        walk, moves = Walk(start(base, 2_000, order)), []
        for group, cell, _ in random_moves(walk, np.random.default_rng(seed), 2_000):
            moves.append((group, cell))
        again = Walk(replace(walk.begun, row=fresh(walk.begun, moves)))
        for one, other in zip(walk.tables(), again.tables(), strict=True):
            assert one.tobytes() == other.tobytes()
        made, seed = made + len(moves), seed + 1


def test_illegal_actions_change_nothing() -> None:
    """What the mask forbids is refused and leaves no trace."""
    walk = Walk(start(MAKERS["plain"](0), 5))
    for _ in range(2):
        before = [table.copy() for table in walk.tables()]
        for action in (-1, walk.masks.shape[1], int(np.flatnonzero(~walk.masks[0])[0])):
            assert walk.step(action) == (0, layout.ILLEGAL)
            for one, other in zip(before, walk.tables(), strict=True):
                assert one.tobytes() == other.tobytes()
        walk.step(int(np.flatnonzero(walk.masks[0])[0]))


def test_stop_ends() -> None:
    """After the stop nothing is allowed."""
    walk = Walk(start(MAKERS["plain"](0), 5))
    assert walk.step(walk.masks.shape[1] - 1) == (0, layout.FINISHED)
    assert not walk.masks.any()


def test_no_moves_no_episode() -> None:
    """With a limit of no moves the episode is over before it begins."""
    assert not Walk(start(MAKERS["plain"](0), 0)).masks.any()


def test_plans_are_waves_as_the_order_says() -> None:
    """Order-safe moves are one wave, others one each; no moves are none."""
    for order, waves in ((Order.SAFE, 1), (Order.WAVES, 4)):
        walk = Walk(start(MAKERS["plain"](1), 4, order))
        moves = [(g, c) for g, c, _ in random_moves(walk, np.random.default_rng(0), 4)]
        plan = walk.begun.plan(moves)
        assert (len(plan.waves), len(plan.moves())) == (waves, 4)
        assert walk.begun.plan([]) == Plan(plan.problem, order)


def test_what_does_not_fit_says_why() -> None:
    """Problems that migrations cannot express are refused in one sentence."""
    base = snapshot(0, pms=3)
    plain = PlacementProblem.of(Hosts.of([[1]]), Items.of([[1]], host0=[0]))
    frozen = replace(base.items, movable=np.zeros(len(base.items), bool))
    none = (Level("moved", (Term(TermKind.MOVED),)),)
    assert unfit(base) is None
    for problem, word in (
        (plain, "one or two cells"),
        (base.replace(items=frozen), "may be moved"),
        (base.replace(objective=none), "no fragments"),
        (base.replace(owner_at_once=1), "throttles"),
    ):
        assert word in (unfit(problem) or "")
        with pytest.raises(ValueError, match=word):
            start(problem, 5)
