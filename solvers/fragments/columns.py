"""Exchanges on types of cells and hosts, many at a time: the columns of the master."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from optsched.arrays import Bools, Ints
from optsched.solvers.fragments.model import Floats

# Type of cell, type of host, what leaves and enters each cell, gain.
Exchange = tuple[int, int, Ints, Ints, float]


@dataclass(frozen=True)
class Columns:
    """N exchanges.

    Attributes
    ----------
    cell, host
        (N,) the type that it is made on; -1 for the one that it is not.
    out, into
        (N, 2, K) what leaves and enters each cell (of a cell type: the first row). Wide items stand
        in the first row.
    gain
        (N,) in steps.
    """

    cell: Ints
    host: Ints
    out: Ints
    into: Ints
    gain: Floats

    @classmethod
    def of(cls, exchanges: Sequence[Exchange], classes: int) -> Columns:
        """From single exchanges of that many classes."""
        shape = (len(exchanges), 2, classes)
        return cls(
            np.array([one[0] for one in exchanges], np.int64),
            np.array([one[1] for one in exchanges], np.int64),
            np.array([one[2] for one in exchanges], np.int64).reshape(shape),
            np.array([one[3] for one in exchanges], np.int64).reshape(shape),
            np.array([one[4] for one in exchanges], np.float64),
        )

    def __len__(self) -> int:
        return len(self.gain)

    def __getitem__(self, which: Ints | Bools) -> Columns:
        """Some of them."""
        return Columns(
            self.cell[which], self.host[which], self.out[which], self.into[which], self.gain[which]
        )

    def __add__(self, other: Columns) -> Columns:
        return Columns(
            np.concatenate([self.cell, other.cell]),
            np.concatenate([self.host, other.host]),
            np.concatenate([self.out, other.out]),
            np.concatenate([self.into, other.into]),
            np.concatenate([self.gain, other.gain]),
        )

    @cached_property
    def balance(self) -> Ints:
        """(N, K) how many more leave than enter."""
        return np.asarray((self.out - self.into).sum(axis=1))

    @cached_property
    def moves(self) -> Ints:
        """(N,) how many leave."""
        return np.asarray(self.out.sum(axis=(1, 2)))

    def leavers(self, drained: Floats) -> Floats:
        """(N,) how many leave that should; `drained` is that of `Shapes`."""
        return np.asarray(self.out.sum(axis=1) @ drained)

    def keys(self) -> list[bytes]:
        """Equal for equal columns."""
        wide = self.out.shape[1] * self.out.shape[2]
        table = np.column_stack(
            [self.cell, self.host, self.out.reshape(-1, wide), self.into.reshape(-1, wide)]
        )
        return [row.tobytes() for row in np.ascontiguousarray(table)]
