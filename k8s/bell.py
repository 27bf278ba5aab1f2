"""Waiting until something changes, at most so long."""

from __future__ import annotations

import asyncio
import contextlib

from optsched.k8s.clock import Clock


class Bell:
    """Rings for one who waits; rings that nobody waits for are remembered, as one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Something changed."""
        self._event.set()

    async def wait(self, most: float, least: float = 0.0) -> None:
        """Wait for a ring, no longer than `most` seconds and no shorter than `least`."""
        if least:
            await self._clock.sleep(min(least, most))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, most - least)):
                await self._event.wait()
        self._event.clear()
