"""Linear programs held as arrays and passed to MathOpt as protos.

MathOpt's Python layer makes an object of every coefficient and of every basis status; for masters
that are solved a hundred times a second that takes longer than GLOP itself.
"""

from __future__ import annotations

import datetime
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ortools.math_opt import (
    callback_pb2,
    model_parameters_pb2,
    model_pb2,
    model_update_pb2,
    result_pb2,
)
from ortools.math_opt import parameters_pb2 as settings
from ortools.math_opt.core.python import solver as core
from ortools.math_opt.python import mathopt
from ortools.util.python.solve_interrupter import SolveInterrupter  # type: ignore[import-untyped]
from pybind11_abseil.status import StatusNotOk

from optsched.arrays import Bools, Ints

Floats = npt.NDArray[np.float64]
FREE = math.inf
# What `core.solve` takes after the parameters, before the interrupter: all values are wanted, there
# are no callbacks.
_NOTHING = (
    model_parameters_pb2.ModelSolveParametersProto(),
    None,
    callback_pb2.CallbackRegistrationProto(),
    None,
)
LOOK = 0.02  # seconds between two looks at `Budget.stop`
LATE = 1.25  # times its limit that HiGHS is waited for


@contextmanager
def interrupting(stop: Callable[[], bool]) -> Iterator[SolveInterrupter]:
    """An interrupter for the programs that are solved meanwhile; it is asked for by `stop`."""
    interrupter, done = SolveInterrupter(), threading.Event()

    def watch() -> None:
        while not done.wait(LOOK):
            if stop():
                interrupter.interrupt()
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield interrupter
    finally:
        done.set()
        thread.join()


class _Patience(threading.local):
    """Waits for a solve that may forget its own limit of time, as HiGHS does now and then.

    One that is given up goes on until it looks at its clock; the next one waits for its end, so
    that there are never two of a caller.
    """

    def __init__(self) -> None:
        self._last: threading.Thread | None = None

    def wait_for(
        self, run: Callable[[], result_pb2.SolveResultProto], seconds: float
    ) -> result_pb2.SolveResultProto | None:
        """What `run` returns, or raises; None once so many seconds are over."""
        deadline = time.monotonic() + seconds
        if self._last is not None:
            self._last.join(seconds)
            if self._last.is_alive():
                return None
        found: list[result_pb2.SolveResultProto] = []
        failed: list[Exception] = []

        def carry() -> None:
            try:
                found.append(run())
            except Exception as error:
                failed.append(error)

        self._last = threading.Thread(target=carry)
        self._last.start()
        self._last.join(max(0.0, deadline - time.monotonic()))
        if failed:
            raise failed[0]
        return found[0] if found else None


_patience = _Patience()


@dataclass(frozen=True)
class Solution:
    """Value, columns (N,) and row duals (M,) of an optimal solution; duals as of a minimisation."""

    value: float
    x: Floats
    dual: Floats


class LinearProgram:
    """Minimise cost x over low <= A x <= high and lower <= x <= upper; columns may be added.

    Parameters
    ----------
    low, high
        (M,) the rows, all there from the start.

    Attributes
    ----------
    interrupter
        Ends what is being solved early (GLOP only), or None.
    """

    def __init__(self, low: Floats, high: Floats) -> None:
        self.low, self.high = np.asarray(low, float), np.asarray(high, float)
        self.cost: list[float] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self._row: list[int] = []
        self._column: list[int] = []
        self._value: list[float] = []
        self._sent = (0, 0)  # columns and entries that the solver has
        self._changed: dict[str, dict[int, float]] = {"cost": {}, "lower": {}, "upper": {}}
        self._solver: core.Solver | None = None
        self.interrupter: SolveInterrupter | None = None

    def __len__(self) -> int:
        return len(self.cost)

    def add(self, cost: float, rows: Ints, values: Ints | Floats, upper: float = FREE) -> int:
        """Add a column with lower bound 0; its number."""
        column = len(self.cost)
        self.cost.append(float(cost))
        self.lower.append(0.0)
        self.upper.append(float(upper))
        self._row += rows.tolist()
        self._column += [column] * len(rows)
        self._value += values.tolist()
        return column

    def fill(self, cost: Floats, upper: Floats, rows: Ints, columns: Ints, values: Floats) -> None:
        """Add many columns at once; `columns` number them from 0."""
        first = len(self.cost)
        self.cost += cost.tolist()
        self.lower += [0.0] * len(cost)
        self.upper += upper.tolist()
        self._row += rows.tolist()
        self._column += (columns + first).tolist()
        self._value += values.tolist()

    def change(self, what: str, column: int, value: float) -> None:
        """Give `cost`, `lower` or `upper` of a column a new value."""
        table = getattr(self, what)
        if table[column] != value:
            table[column] = float(value)
            if column < self._sent[0]:
                self._changed[what][column] = float(value)

    def solve(self, seconds: float) -> Solution | None:
        """Optimum by GLOP, from the last basis; None if there is none or time is up."""
        for _ in range(2):  # where GLOP gives up on the numbers, again from scratch
            try:
                answer = self._solve(seconds)
            except (RuntimeError, AttributeError, StatusNotOk):
                self._solver = None
                continue
            if answer.termination.reason != result_pb2.TERMINATION_REASON_OPTIMAL:
                return None
            found = answer.solutions[0]
            return Solution(
                found.primal_solution.objective_value,
                np.array(found.primal_solution.variable_values.values),
                np.array(found.dual_solution.dual_values.values),
            )
        return None

    def solve_whole_bound(
        self, whole: Bools, seconds: float, gap: float
    ) -> tuple[Floats | None, float]:
        """(N,) the best solution found by HiGHS in which the columns `whole` are whole numbers.

        With a lower bound of all such solutions. `gap` is the absolute difference from the optimum
        that is good enough.
        """
        limits = _limits(seconds)
        limits.absolute_gap_tolerance = gap
        model = self._model(whole)

        def run() -> result_pb2.SolveResultProto:
            return core.solve(
                model,
                mathopt.SolverType.HIGHS.value,
                settings.SolverInitializerProto(),
                limits,
                *_NOTHING,
                None,
            )

        answer = _patience.wait_for(run, LATE * seconds + LOOK)
        if (
            answer is None
            or not answer.solutions
            or not answer.solutions[0].HasField("primal_solution")
        ):
            return None, -math.inf
        low = answer.termination.objective_bounds.dual_bound
        return np.array(answer.solutions[0].primal_solution.variable_values.values), low

    def _solve(self, seconds: float) -> result_pb2.SolveResultProto:
        if self._solver is None or not self._solver.update(self._update()):
            self._solver = core.new(
                mathopt.SolverType.GLOP.value,
                self._model(np.zeros(len(self), bool)),
                settings.SolverInitializerProto(),
            )
        self._sent = len(self.cost), len(self._row)
        for table in self._changed.values():
            table.clear()
        asked = None if self.interrupter is None else self.interrupter.pybind_interrupter
        return self._solver.solve(_limits(seconds), *_NOTHING, asked)

    def _columns(self, first: int, whole: Bools) -> model_pb2.VariablesProto:
        return model_pb2.VariablesProto(
            ids=range(first, len(self.cost)),
            lower_bounds=self.lower[first:],
            upper_bounds=self.upper[first:],
            integers=whole[first:].tolist(),
        )

    def _entries(self, first: int) -> dict[str, list[int] | list[float]]:
        row, column = np.array(self._row[first:], int), np.array(self._column[first:], int)
        order = np.lexsort((column, row))
        value = np.array(self._value[first:], float)
        return {
            "row_ids": row[order].tolist(),
            "column_ids": column[order].tolist(),
            "coefficients": value[order].tolist(),
        }

    def _model(self, whole: Bools) -> model_pb2.ModelProto:
        cost = np.array(self.cost)
        costly = np.flatnonzero(cost)
        return model_pb2.ModelProto(
            variables=self._columns(0, whole),
            objective={
                "linear_coefficients": {"ids": costly.tolist(), "values": cost[costly].tolist()}
            },
            linear_constraints={
                "ids": range(len(self.low)),
                "lower_bounds": self.low.tolist(),
                "upper_bounds": self.high.tolist(),
            },
            linear_constraint_matrix=self._entries(0),
        )

    def _update(self) -> model_update_pb2.ModelUpdateProto:
        columns, entries = self._sent
        new = np.arange(columns, len(self.cost))
        cost = {**self._changed["cost"], **{k: self.cost[k] for k in new.tolist() if self.cost[k]}}
        return model_update_pb2.ModelUpdateProto(
            new_variables=self._columns(columns, np.zeros(len(self.cost), bool)),
            variable_updates={
                "lower_bounds": _sparse(self._changed["lower"]),
                "upper_bounds": _sparse(self._changed["upper"]),
            },
            objective_updates={"linear_coefficients": _sparse(cost)},
            linear_constraint_matrix_updates=self._entries(entries),
        )


def _sparse(values: dict[int, float]) -> dict[str, list[int] | list[float]]:
    ids = sorted(values)
    return {"ids": ids, "values": [values[k] for k in ids]}


def _limits(seconds: float) -> settings.SolveParametersProto:
    limits = settings.SolveParametersProto()
    limits.time_limit.FromTimedelta(datetime.timedelta(seconds=max(seconds, 0.001)))
    return limits
