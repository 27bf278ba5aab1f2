"""Time that passes when it is told to."""

from __future__ import annotations

import asyncio

START = 1_790_000_000_000  # ms


class SimulatedClock:
    """Moves when told to; whoever sleeps yields and goes on at once."""

    def __init__(self, at: int = START) -> None:
        self.at = at

    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.at

    def monotonic(self) -> float:
        """Seconds."""
        return self.at / 1000

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.at += int(seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        """Only so long that others get a turn: simulated time is not spent by waiting."""
        await asyncio.sleep(min(seconds, 0.002))
