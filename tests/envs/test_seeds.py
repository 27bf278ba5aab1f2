"""Seeds of training and of measures."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from optsched.envs.pool import Pool
from optsched.envs.seeds import SPLITS, seeds
from optsched.envs.vm_rescheduling import VMRescheduling
from optsched.errors import InputError


def test_splits_share_no_seed() -> None:
    """No number is in two splits."""
    for one, other in itertools.combinations(SPLITS.values(), 2):
        assert one.stop <= other.start or other.stop <= one.start
        assert len(one)
        assert one.step == other.step == 1


@pytest.mark.parametrize("split", sorted(SPLITS))
def test_pools_stay_in_their_split(split: str) -> None:
    """Whatever the generator draws, and however large the pool, its seeds are of its split."""
    own = seeds(split)
    for size in (0, 1, 7, len(own)):
        pool = Pool(lambda seed: seed, split, size)
        for seed in range(30):
            drawn, made = pool.draw(np.random.default_rng(seed))
            assert drawn == made
            assert drawn in own
            assert not size or drawn - own.start < size


def test_environments_draw_from_their_split() -> None:
    """The seeds that an environment tells are of the split that it was made for."""
    for split in SPLITS:
        env = VMRescheduling(pms=3, moves=2, split=split)
        for seed in range(3):
            assert env.reset(seed=seed)[1]["seed"] in seeds(split)


def test_pools_keep_what_they_met_last() -> None:
    """An instance is made once while it is kept, and again after it was dropped."""
    made: list[int] = []
    pool = Pool(lambda seed: made.append(seed), kept=2)
    for seed in (1, 1, 2, 3, 3, 1):
        pool.get(seed)
    assert made == [1, 2, 3, 1]


def test_unknown_splits_are_told() -> None:
    """A split that does not exist is refused, with those that do."""
    with pytest.raises(InputError, match="train, validation, heldout"):
        seeds("test")
