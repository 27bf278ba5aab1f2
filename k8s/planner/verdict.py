"""What to do about pods that do not fit: move others, wait, or leave it to more nodes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from optsched.k8s.planner.messages import Answer
from optsched.k8s.planner.tables import placed
from optsched.k8s.settings import Planner
from optsched.problem import PlacementProblem
from optsched.result import Result


class Choice(StrEnum):
    """What is best."""

    MOVE = "move"
    WAIT = "wait"
    SCALE = "scale"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Verdict:
    """A choice, and the sentences that explain it to whoever owns a pod.

    Attributes
    ----------
    why
        For the pods that have a place in the plan.
    rest
        For those that have none.
    """

    choice: Choice
    why: str
    rest: str


def verdict(problem: PlacementProblem, answer: Answer, settings: Planner) -> Verdict:
    """Compare the plan of an answer with waiting and with more nodes."""
    result = answer.result
    assert result is not None
    placement = result.plan.placement(problem)
    helped = placed(problem, placement.host)
    moves = sum(move.source >= 0 for move in result.plan.moves())
    rest = _nothing(result, answer)
    if answer.later and answer.later >= helped:
        why = "pods that are ending will make room for as many as moves would"
        return Verdict(Choice.WAIT, why, why)
    if not helped:
        return Verdict(Choice.NOTHING, rest, rest)
    if not moves:
        why = "it fits as the cluster is now; the scheduler will place it"
        return Verdict(Choice.WAIT, why, rest)
    if moves > settings.moves_per_pod * helped:
        more = f"{answer.nodes} more nodes" if answer.nodes > 0 else "more nodes"
        return Verdict(
            Choice.SCALE,
            f"placing {helped} by moving {moves} is more than is worth it; {more} would help",
            rest,
        )
    return Verdict(Choice.MOVE, "", rest)


def _nothing(result: Result, answer: Answer) -> str:
    unplaced = [level for level in result.levels if level.name.startswith("unplaced")]
    proven = all(level.proven for level in unplaced)
    tail = f"; {_nodes(answer.nodes)} would help" if answer.nodes > 0 else ""
    if proven:
        return f"no allowed moves make room for it; this is proven{tail}"
    return f"no allowed moves that make room for it were found{tail}"


def _nodes(count: int) -> str:
    return "one more node" if count == 1 else f"{count} more nodes"
