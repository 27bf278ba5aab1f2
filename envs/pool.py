"""Instances for environments: drawn by seed when they are first met, then kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np

from optsched.envs.seeds import seeds

Thing = TypeVar("Thing")

KEPT = 256


class Pool(Generic[Thing]):
    """What `make(seed)` gives, for the first `size` seeds of a split or any of them.

    Parameters
    ----------
    make
        From a seed to an instance.
    split
        Where seeds come from, see `seeds`.
    size
        How many different instances there are; 0: as many as the split has seeds.
    kept
        How many are kept for the next time.
    """

    def __init__(
        self, make: Callable[[int], Thing], split: str = "train", size: int = 0, kept: int = KEPT
    ) -> None:
        own = seeds(split)
        self.make = make
        self.seeds = own[: size or None]
        self.kept = kept
        self._known: OrderedDict[int, Thing] = OrderedDict()

    def draw(self, rng: np.random.Generator) -> tuple[int, Thing]:
        """A seed and its instance."""
        seed = int(rng.integers(self.seeds.start, self.seeds.stop))
        return seed, self.get(seed)

    def get(self, seed: int) -> Thing:
        """The instance of a seed."""
        if seed not in self._known:
            self._known[seed] = self.make(seed)
            if len(self._known) > self.kept:
                self._known.popitem(last=False)
        return self._known[seed]
