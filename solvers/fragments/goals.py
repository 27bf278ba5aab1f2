"""What the levels of an objective ask of exchanges: to empty hosts, to gain, to save moves."""

from __future__ import annotations

from dataclasses import dataclass

from optsched.levels import Level, TermKind
from optsched.problem import PlacementProblem


@dataclass(frozen=True)
class Goals:
    """Where the levels are that exchanges can serve; -1: there is none.

    Attributes
    ----------
    drained, fragments, moved
        Index of the level. `moved` is the level right after `fragments`, and `drained` the one
        right before.
    """

    drained: int
    fragments: int
    moved: int


def goals_of(problem: PlacementProblem) -> Goals | str:
    """The levels, or one sentence why exchanges cannot serve them."""
    kinds = [_kind(level) for level in problem.objective]
    first = 0
    if kinds[:1] == [TermKind.DRAINED]:
        first = 1
    if kinds[first : first + 1] != [TermKind.FRAGMENTS]:
        return "the first level, after that of drained hosts, must be of nothing but fragments"
    moved = first + 1 if kinds[first + 1 : first + 2] == [TermKind.MOVED] else -1
    return Goals(first - 1, first, moved)


def _kind(level: Level) -> TermKind | None:
    """The kind of all terms of a level, if they count every item."""
    kinds = {term.kind for term in level.terms}
    if len(kinds) != 1:
        return None
    counts_all = all(term.tier < 0 or term.kind is TermKind.FRAGMENTS for term in level.terms)
    return kinds.pop() if counts_all else None
