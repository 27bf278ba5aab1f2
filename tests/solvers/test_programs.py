"""Linear programs as arrays: their optimum, and their end before it."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from ortools.math_opt.result_pb2 import SolveResultProto

from optsched.solvers.programs import LinearProgram, _Patience, interrupting


def covering(rows: int, columns: int) -> LinearProgram:
    """Cover every row once by columns of random costs."""
    rng = np.random.default_rng(0)
    program = LinearProgram(np.ones(rows), np.full(rows, np.inf))
    row, column = np.nonzero(rng.random((rows, columns)) < 0.05)
    cost, most = rng.random(columns) + 0.5, np.full(columns, np.inf)
    program.fill(cost, most, row, column, rng.random(len(row)) + 0.1)
    return program


def test_an_interrupted_program_has_no_solution() -> None:
    """It ends soon after it should stop, and can be solved from where it was left."""
    program = covering(200, 800)
    asked: list[float] = []

    def stop() -> bool:
        asked.append(time.monotonic())
        return True

    with interrupting(stop) as program.interrupter:
        while not asked:
            time.sleep(0.001)
        time.sleep(0.05)
        assert program.solve(60) is None
    program.interrupter = None
    solution = program.solve(60)
    assert solution is not None
    assert solution.value == pytest.approx(covering(200, 800).solve(60).value)  # type: ignore[union-attr]


def test_without_a_wish_to_stop_it_is_solved() -> None:
    """The watch ends with its context."""
    program = covering(20, 400)
    with interrupting(lambda: False) as program.interrupter:
        solution = program.solve(60)
    assert solution is not None
    x = solution.x
    assert (x >= -1e-9).all()
    assert solution.value == pytest.approx(float(np.array(program.cost) @ x))


def test_a_solve_that_forgets_its_time_is_given_up() -> None:
    """Its caller goes on; the next one waits for it, so that there are never two."""
    patience, end = _Patience(), threading.Event()
    started: list[str] = []

    def forgetful() -> SolveResultProto:
        end.wait()
        return SolveResultProto()

    def prompt() -> SolveResultProto:
        started.append("prompt")
        return SolveResultProto()

    assert patience.wait_for(forgetful, 0.01) is None
    assert patience.wait_for(prompt, 0.01) is None
    assert not started
    end.set()
    assert patience.wait_for(prompt, 60) == SolveResultProto()


def test_what_a_solve_raises_reaches_its_caller() -> None:
    """Although it runs in a thread of its own."""

    def broken() -> SolveResultProto:
        raise ValueError("no model")

    with pytest.raises(ValueError, match="no model"):
        _Patience().wait_for(broken, 60)
