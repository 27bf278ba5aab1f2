"""Pack a few items onto a few hosts anew, exactly: one neighbourhood of the large search (CP-SAT).

Everything outside the neighbourhood stays. Each item chooses one of its options: to sit where it
was (which no rule binds), to enter a host of the neighbourhood, or to wait. All rules 1 to 9 are
rows over the options, and the levels of the objective are minimised one after another, as many at
once as integers can hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optsched.arrays import NONE
from optsched.budget import Budget
from optsched.solvers.repack_model import RepackModel
from optsched.solvers.search import Search


@dataclass(frozen=True)
class Outcome:
    """What packing a neighbourhood anew came to.

    Attributes
    ----------
    changed
        Whether the search is in another placement now.
    closed
        Whether it is proven that the neighbourhood holds nothing better.
    """

    changed: bool
    closed: bool


class Repacking:
    """A neighbourhood: its model, its solution, and what comes of it.

    Parameters
    ----------
    search
        The placement to improve; the model is built from it as it is now.
    items
        Items that may be disturbed or are pending; those that sit somewhere sit on `hosts`. Of a
        gang, all members or none.
    hosts
        The hosts that they may enter.
    """

    def __init__(self, search: Search, items: Sequence[int], hosts: Sequence[int]) -> None:
        self.search, self.items, self.hosts = search, list(items), list(hosts)
        current = {item: int(search.state.host[item]) for item in items}
        cells = {item: search.state.cells[item].copy() for item in items}
        mark = search.mark()
        for item in items:
            search.put(item, NONE)
        self._model = RepackModel(search, items, hosts, current, cells)
        search.undo(mark)

    def solve(self, budget: Budget, *, seed: int = 0, effort: float = 1.0) -> None:
        """Let CP-SAT work, for at most `effort` deterministic seconds; needs no search."""
        self._model.solve(budget, seed, effort)

    def apply(self, *, sideways: bool = False) -> Outcome:
        """Take the search to the solution if it is better (or, `sideways`, as good) and allowed."""
        search, model = self.search, self._model
        start = search.mark()
        seats = model.seats()
        if seats is None:
            return Outcome(False, model.closed)
        for item in self.items:
            search.put(item, NONE)
        for item, option in seats:
            at = [cell for cell, var in option.cells.items() if model.taken(var)]
            search.put(item, option.host, at)
        fine = search.better_than(start)
        if not fine and sideways:
            fine = bool((search.value == start.value).all())
        if fine and not search.state.violations():
            return Outcome(True, model.closed)
        search.undo(start)
        return Outcome(False, model.closed)
