"""Time limits in processor seconds, for a machine that others use too.

Wall time is what a limit promises, and what figures should be measured by, alone on the machine.
Where that cannot be had, `by_processor` makes the budgets of this process count the seconds that it
was given, so that methods with one thread are compared fairly with each other; CP-SAT, which has a
clock of its own, gets what is left as wall time and is at a disadvantage.
"""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

from optsched import budget


def by_processor() -> None:
    """Let every budget that is made from now on count processor time."""
    cast(Any, budget).time = SimpleNamespace(monotonic=time.process_time)


def now() -> float:
    """Seconds of the clock that budgets use."""
    return float(cast(Any, budget).time.monotonic())
