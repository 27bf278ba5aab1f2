"""Who waits for a processor: the solver, never the scheduler that asks the front end."""

from __future__ import annotations

import contextlib
import os


def step_back() -> None:
    """Work in this process, and what it starts, only while nobody else wants the processor.

    For solvers. Beside mere `nice` processes the front end waits, once in a hundred requests or so,
    for the end of somebody's turn, which is 3 to 5 ms (benchmarks/results/filter_latency.md). What
    runs in other containers is another matter: so all parts should share one.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    except (OSError, AttributeError):  # not on this system
        with contextlib.suppress(OSError):
            os.nice(19)
