"""Sums for CP-SAT models, typed as expressions (ortools types them as expression or number)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from ortools.sat.python import cp_model

Expr: TypeAlias = cp_model.LinearExpr
Sum: TypeAlias = cp_model.LinearExpr | int  # an empty sum is the number 0


def total(parts: Iterable[Expr | int]) -> Expr:
    """The sum of `parts`."""
    return cp_model.LinearExpr.sum(list(parts))


def weighted(parts: Iterable[Expr], weights: Iterable[int]) -> Expr:
    """The sum of `parts` times `weights`."""
    return cp_model.LinearExpr.weighted_sum(list(parts), list(weights))
