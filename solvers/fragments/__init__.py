"""Fewest fragments with few moves, proven: exchanges of classes of items, priced exactly."""

from optsched.solvers.fragments.exchange import Fragments
from optsched.solvers.fragments.frontier import curve
from optsched.solvers.fragments.greedy import FragmentsGreedy

__all__ = ["Fragments", "FragmentsGreedy", "curve"]
