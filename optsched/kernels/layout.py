"""How a placement in the making lies in a row of numbers, and what columns policies see.

A *row* is one placement in the making as flat int64 numbers, tables and live values alike, so that
a batch is a matrix, a reset is a copy, and two states are equal if their rows are. The head of a
row holds sizes, live scalars and where the arrays begin; `simulate.migration` writes it.

Columns of a cell, in blocks unless said otherwise: the rest of its free units; whole free blocks,
by four; room that may be taken, by two; what of the rest may be taken; the other resource's room,
by two; rest and room (by two) of the host's other cell, and whether there is one; whether its host
is drained; by how little the rest exceeds a block once one item of the cell has left, and once two
have, 1: never; how many cells are seen as this row, by the logarithm; 1.

Columns of a group: its item's units, by two; the rest of its cell before and after; blocks gained,
by four; whether it is on two cells, and the rest of the other before and after; its need of the
other resource, by two; how many items, by the logarithm; whole free blocks of its cell, by four;
by how little another item of the cell, leaving too, exceeds a block; how many groups are seen as
this row, by the logarithm; 1.

Columns of the task: whether a group is chosen; migrations left, by the logarithm, as a share, and
exactly up to 32; hosts, by the logarithm; the row of the chosen group; six histograms by sixteenths
of a block, by the logarithm and exactly up to 16. They count the rests of cells; what of the rests
may be taken; items that complete a block by leaving, by what they use; cells by the excess of one
item; cells without such by the excess of two; hosts of two cells by what both can take.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# Head: sizes, settings, live scalars, then where each array begins.
CELLS, HOSTS, KINDS, GROUPS, CLASSES, TERMS, LEVELS, SAFE, LIMIT, UNIT, SIZE, OTHER = range(12)
MADE, CHOSEN, OVER = range(12, 15)
HOST_FIRST, CELL_HOST, DRAIN, CAPACITY, DEMAND, NEED, TIER, OPEN = range(15, 23)
GROUP_CLASS, GROUP_CELL, GROUP_OTHER, GROUP_FIRST = range(23, 27)
TERM, GOAL, WEIGHT, FEED_FIRST, FEED, CHECK_FIRST, CHECK, SLOT, HAS_KEY = range(27, 36)
FREE, ROOM, COUNT, TALLY, TOTAL, HISTOGRAM, EXCESS = range(36, 43)
HEAD = 48

FRAGMENTS, MOVED, DRAINED = range(3)  # kinds of terms; others do not change
TERM_WIDE = 6  # kind, weight, tier, resource, size, cells; then the level
BINS, HISTOGRAMS, FEW = 17, 6, 16  # counts are shown by their logarithm, and exactly up to FEW
CELL_WIDE, GROUP_WIDE = 13, 13
CHOSEN_AT = 5  # where the row of the chosen group begins in the table of the task
HISTOGRAM_AT = CHOSEN_AT + GROUP_WIDE
TASK_WIDE = HISTOGRAM_AT + 2 * HISTOGRAMS * BINS
CELL_TWIN = slice(5, 8)  # columns that say something of the host's other cell
CELL_TIMES, GROUP_TIMES = 11, 11  # for how many equal rows a row stands, by the logarithm

LEGAL, ILLEGAL, FINISHED = 0, 1, 2
