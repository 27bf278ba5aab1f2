"""Which seeds instances for training, for validation and for the final measure are drawn from.

Three ranges that share no number: whatever seed a run is given, what it trains on and what it is
measured on cannot be the same instance.
"""

from __future__ import annotations

from optsched.errors import InputError

SPLITS = {
    "train": range(900_000_000),
    "validation": range(900_000_000, 1_000_000_000),  # chooses among checkpoints, stops early
    "heldout": range(1_000_000_000, 1 << 31),  # only for figures that are told
}


def seeds(split: str) -> range:
    """The seeds of a split.

    Raises
    ------
    InputError
        There is no such split.
    """
    if split not in SPLITS:
        raise InputError(f"no split {split[:40]!r}; there are {', '.join(SPLITS)}")
    return SPLITS[split]
