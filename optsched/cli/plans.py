"""Plans and results from files, for the commands that look at them again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optsched.plan import Plan
    from optsched.problem import PlacementProblem
    from optsched.result import Result

FOREIGN = (
    "it was made for another state of this problem, or with other options; "
    "it is read here by the names of items and hosts"
)


def read_plan(problem: PlacementProblem, path: str) -> tuple[Plan, tuple[str, ...]]:
    """The plan in a plan or result file, and notes about it.

    A plan for another problem is taken as one for this problem if all its names exist here: that
    the plan still holds on a newer snapshot is a fair question.
    """
    from optsched.snapshot import decode_plan, read_bytes

    plan = decode_plan(read_bytes(path), problem, path)
    if plan.problem == problem.digest():
        return plan, ()
    return replace(plan, problem=problem.digest()), (FOREIGN,)


def read_result(problem: PlacementProblem, path: str) -> Result | None:
    """The result in a file; None if the file holds a plan alone or is for another problem."""
    from optsched.snapshot import decode_result, read_bytes
    from optsched.snapshot.plans import RESULT
    from optsched.snapshot.text import read_head

    data = read_bytes(path)
    if read_head(data, path).format != RESULT:
        return None
    result = decode_result(data, problem, path)
    return result if result.plan.problem == problem.digest() else None
