"""A picture of cells: what is used, what is free in whole blocks, what is a fragment."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from optsched.arrays import Ints
from optsched.kernels import layout

Picture = npt.NDArray[np.uint8]

USED, BLOCK, FRAGMENT, EMPTY = (70, 90, 120), (60, 170, 90), (220, 80, 60), (255, 255, 255)
HEIGHT, WIDTH, GAP, COLUMNS = 44, 4, 2, 64


def draw_cells(row: Ints) -> Picture:
    """(H, W, 3) bars, one a cell: used below, whole blocks above it, fragments on top."""
    cells, kinds = int(row[layout.CELLS]), int(row[layout.KINDS])
    unit, size = int(row[layout.UNIT]), int(row[layout.SIZE])
    whole = row[row[layout.CAPACITY] :][: cells * kinds].reshape(cells, kinds)[:, unit]
    free = np.maximum(row[row[layout.FREE] :][: cells * kinds].reshape(cells, kinds)[:, unit], 0)
    lines = -(-cells // COLUMNS)
    picture = np.full(
        (lines * (HEIGHT + GAP) + GAP, COLUMNS * (WIDTH + GAP) + GAP, 3), EMPTY, np.uint8
    )
    largest = max(int(whole.max(initial=1)), 1)
    for cell in range(cells):
        top = GAP + (cell // COLUMNS) * (HEIGHT + GAP)
        left = GAP + (cell % COLUMNS) * (WIDTH + GAP)
        bar = picture[top : top + HEIGHT, left : left + WIDTH]
        fragment = int(free[cell] % size)
        parts = (fragment, int(free[cell]) - fragment, int(whole[cell] - free[cell]))
        at = HEIGHT - HEIGHT * min(sum(parts), largest) // largest
        for part, colour in zip(parts, (FRAGMENT, BLOCK, USED), strict=True):
            deep = round(HEIGHT * part / largest)
            bar[at : at + deep] = colour
            at += deep
    return picture
