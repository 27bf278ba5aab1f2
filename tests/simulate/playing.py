"""How tests decide for tasks that arrive."""

from __future__ import annotations

from random import Random

import numpy as np

from optsched.kernels import events as kernel
from optsched.simulate import Online


def at_random(run: Online, random: Random) -> None:
    """Decide until the end, on nodes that are open, and sometimes not at all."""
    while not run.over:
        open_ = np.flatnonzero(run.begins() >= 0).tolist()
        if random.random() < 0.1 and kernel.may_defer(run.live):
            run.defer()
        elif open_ and random.random() < 0.95:
            run.place(random.choice(open_))
        else:
            run.reject()
