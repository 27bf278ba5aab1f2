"""The time and machine that a solver may use, and how it reports while it works."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from dataclasses import replace as _replace


@dataclass(frozen=True)
class Progress:
    """What a solver is doing, for a terminal or a log.

    Attributes
    ----------
    stage
        "greedy", "counts unplaced[0]" and the like.
    value, bound
        Of the level in work; None: not known.
    done
        Share of the work done, 0..1; None: not known.
    """

    stage: str
    value: int | None = None
    bound: int | None = None
    done: float | None = None


def _never() -> bool:
    return False


def _silent(progress: Progress) -> None:
    del progress


@dataclass(frozen=True)
class Budget:
    """A deadline that is a promise.

    Attributes
    ----------
    deadline
        In seconds of `time.monotonic()`.
    workers
        Threads or processes.
    memory
        Bytes; None: no limit.
    stop
        Asked often; True ends the solve with the incumbent (Ctrl-C).
    on_progress
        Called with `Progress`; must return fast.
    """

    deadline: float
    workers: int = 1
    memory: int | None = None
    stop: Callable[[], bool] = field(default=_never)
    on_progress: Callable[[Progress], None] = field(default=_silent)

    @classmethod
    def of(
        cls,
        seconds: float,
        *,
        workers: int = 1,
        memory: int | None = None,
        stop: Callable[[], bool] = _never,
        on_progress: Callable[[Progress], None] = _silent,
    ) -> Budget:
        """A budget of `seconds` from now."""
        if not seconds >= 0:
            raise ValueError(f"a time limit of {seconds} s is not possible; give 0 or more")
        if workers < 1:
            raise ValueError(f"{workers} workers are not possible; give 1 or more")
        return cls(time.monotonic() + seconds, workers, memory, stop, on_progress)

    def remaining(self) -> float:
        """Seconds left, 0 when none is."""
        return max(0.0, self.deadline - time.monotonic())

    def over(self) -> bool:
        """Whether to stop now."""
        return self.stop() or time.monotonic() >= self.deadline

    def share(self, fraction: float) -> Budget:
        """A budget that ends after `fraction` of the remaining time."""
        return _replace(self, deadline=time.monotonic() + fraction * self.remaining())

    def until(self, seconds: float) -> Budget:
        """A budget that ends `seconds` from now, or earlier with this one."""
        return _replace(self, deadline=min(self.deadline, time.monotonic() + seconds))

    def report(self, stage: str, **known: float | None) -> None:
        """Tell `on_progress` about `stage`."""
        self.on_progress(Progress(stage, **known))  # type: ignore[arg-type]
