"""The solver's process from outside: warm, limited in time and memory, killed when it overruns.

Its crash, hang or hunger for memory costs one answer and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import pickle
import sys
from dataclasses import dataclass, field

import msgspec

from optsched.k8s.clock import Clock
from optsched.k8s.parent import starting
from optsched.k8s.planner.messages import HEAD, Answer, Request, decode_answer

log = logging.getLogger(__name__)

SLACK = 10.0  # seconds beyond the time limit after which it is killed: it yields to everybody
START = 180.0  # seconds that it may take to start: it yields to everybody from the first
BACKOFF = (0.5, 60.0)  # seconds before the first and before late restarts
LARGEST = 1 << 30  # bytes of an answer


class SolverError(Exception):
    """There is no answer; the sentence says why."""


@dataclass
class Solving:
    """One process that answers one request at a time.

    Attributes
    ----------
    memory
        Bytes it may use.
    polite
        Whether it works only while nobody else wants the processor.
    """

    memory: int
    clock: Clock
    polite: bool = True
    _process: asyncio.subprocess.Process | None = None
    _failures: int = 0
    _next: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def warm(self) -> None:
        """Start the process now, so that the first request need not wait for it."""
        with contextlib.suppress(SolverError):
            async with self._lock:
                await self._start()

    async def solve(self, request: Request) -> Answer:
        """The answer to a request.

        Raises
        ------
        SolverError
            The process crashed, took too long or too much memory, or is not to be started yet.
        """
        async with self._lock:
            await self._start()
            try:
                async with asyncio.timeout(request.seconds + SLACK):
                    answer = await self._ask(request)
            except TimeoutError:
                await self._fail()
                raise SolverError("the solver took too long and was ended") from None
            except (OSError, EOFError, asyncio.IncompleteReadError, msgspec.MsgspecError):
                code = await self._fail()
                raise SolverError(f"the solver ended with code {code}") from None
            except asyncio.CancelledError:
                await self.close()
                raise
            if answer.error == "not enough memory":
                await self._fail()
            if answer.error:
                raise SolverError(f"the solver failed: {answer.error}")
            self._failures = 0
            return answer

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _start(self) -> None:
        if self._process is not None and self._process.returncode is None:
            return
        if self.clock.monotonic() < self._next:
            raise SolverError("the solver failed and is not started again yet")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "optsched.k8s.planner.child",
            str(self.memory),
            *(() if self.polite else ("eager",)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=starting(),
        )
        try:
            async with asyncio.timeout(START):
                await self._read()
        except (TimeoutError, OSError, EOFError, asyncio.IncompleteReadError, msgspec.MsgspecError):
            await self._fail()
            raise SolverError("the solver cannot be started") from None

    async def _ask(self, request: Request) -> Answer:
        assert self._process is not None
        assert self._process.stdin is not None
        data = await asyncio.to_thread(pickle.dumps, request, pickle.HIGHEST_PROTOCOL)
        self._process.stdin.write(HEAD.pack(len(data)))
        self._process.stdin.write(data)
        await self._process.stdin.drain()
        return await self._read()

    async def _read(self) -> Answer:
        assert self._process is not None
        assert self._process.stdout is not None
        head = await self._process.stdout.readexactly(HEAD.size)
        (size,) = HEAD.unpack(head)
        if size > LARGEST:
            raise EOFError
        data = await self._process.stdout.readexactly(size)
        return decode_answer(data)

    async def _fail(self) -> int | None:
        """End what is left of the process, and let some time pass before the next."""
        process = self._process
        await self.close()
        wait = min(BACKOFF[1], BACKOFF[0] * 2**self._failures)
        self._failures += 1
        self._next = self.clock.monotonic() + wait
        log.error("the solver's process is started again in %.1f s", wait)
        return process.returncode if process is not None else None
