"""A linear program from sparse arrays, solved by GLOP through MathOpt."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from ortools.math_opt import model_pb2
from ortools.math_opt.python import mathopt

from optsched.arrays import Ints

Floats = npt.NDArray[np.float64]
ROUNDING = 1e-9  # of what a program's values add up to: more than `Optimum.sure` loses by rounding


@dataclass(frozen=True)
class Optimum:
    """Value, point and dual values (one per row) of an optimal solution.

    Attributes
    ----------
    sure
        A lower bound of every solution's value: what the duals prove, in whatever accuracy they
        are. GLOP calls a basis optimal whose value is off by 1e-8 of itself (Neumaier and
        Shcherbina 2004, safe bounds in linear programming).
    """

    value: float
    sure: float
    x: Floats
    dual: Floats


def minimize(
    cost: Floats,
    upper: Floats,
    low: Sequence[float],
    high: Sequence[float],
    entries: Sequence[tuple[Ints, Ints, Floats]],
    seconds: float,
) -> Optimum | None:
    """Minimum of `cost` over 0 <= x <= `upper` and `low` <= A x <= `high`.

    Parameters
    ----------
    entries
        Parts of A: rows, columns and coefficients. No (row, column) may occur twice.
    seconds
        Time limit.

    Returns
    -------
    Optimum or None
        None if there is no solution, or time ran out.
    """
    row, column, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    order = np.lexsort((column, row))
    costly = np.flatnonzero(cost)
    proto = model_pb2.ModelProto(
        variables=model_pb2.VariablesProto(
            ids=range(len(upper)),
            lower_bounds=np.zeros(len(upper)),
            upper_bounds=upper,
            integers=[False] * len(upper),
        ),
        objective=model_pb2.ObjectiveProto(
            linear_coefficients={"ids": costly, "values": cost[costly]}
        ),
        linear_constraints=model_pb2.LinearConstraintsProto(
            ids=range(len(low)), lower_bounds=low, upper_bounds=high
        ),
        linear_constraint_matrix={
            "row_ids": row[order],
            "column_ids": column[order],
            "coefficients": value[order],
        },
    )
    model = mathopt.Model.from_model_proto(proto)
    limit = datetime.timedelta(seconds=max(seconds, 0.001))
    try:
        result = mathopt.solve(
            model, mathopt.SolverType.GLOP, params=mathopt.SolveParameters(time_limit=limit)
        )
    except (RuntimeError, AttributeError):  # how GLOP's ABNORMAL comes out of MathOpt
        return None
    if result.termination.reason is not mathopt.TerminationReason.OPTIMAL:
        return None
    x = result.variable_values(list(model.variables()))
    dual = result.dual_values(list(model.linear_constraints()))
    sides = np.array(low, dtype=float), np.array(high, dtype=float)
    sure = _proven(cost, upper, sides, (row, column, value), dual)
    return Optimum(float(result.objective_value()), sure, np.array(x), np.array(dual))


def _proven(
    cost: Floats,
    upper: Floats,
    sides: tuple[Floats, Floats],
    entries: tuple[Ints, Ints, Floats],
    dual: Sequence[float],
) -> float:
    """The Lagrangian bound at duals with the signs that the sides allow."""
    low, high = sides
    price = np.array(dual)
    price = np.where(np.isfinite(low), price, np.minimum(price, 0.0))
    price = np.where(np.isfinite(high), price, np.maximum(price, 0.0))
    side = np.where(price > 0, low, np.where(price < 0, high, 0.0))
    row, column, value = entries
    left = cost - np.bincount(column, price[row] * value, minlength=len(cost))
    short = left < 0
    return float(price @ side + left[short] @ upper[short])
