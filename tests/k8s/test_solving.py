"""The solver's process: it answers, and dead, hung or full it costs one answer."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from fake_world import World, fragmented, run, world

from optsched.k8s.clock import SystemClock
from optsched.k8s.planner import solving, tables
from optsched.k8s.planner.messages import Request
from optsched.k8s.planner.solving import SolverError, Solving
from optsched.problem import PlacementProblem


def problem_of(w: World) -> PlacementProblem:
    """The tables as the planner sees them."""
    batch = {pod.metadata.uid for pod in w.mirror.pending()}
    return tables.problem(tables.view(w.mirror, w.settings, w.clock.now(), batch, set()))


def test_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The solver's process answers; killed or hung it costs one answer; it starts anew."""
    monkeypatch.setattr(solving, "BACKOFF", (0.0, 0.0))
    monkeypatch.setattr(solving, "SLACK", 60.0)  # it yields to everybody on a busy machine

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            await w.caught_up()
            problem = problem_of(w)
            one = Solving(2 << 30, SystemClock())
            try:
                answer = await one.solve(Request(problem, None, 5.0))
                assert answer.result is not None
                assert len(answer.result.plan.moves()) == 2
                process = one._process
                assert process is not None
                os.kill(process.pid, signal.SIGKILL)
                await process.wait()
                assert (await one.solve(Request(problem, None, 5.0))).result is not None
                process = one._process
                assert process is not None
                os.kill(process.pid, signal.SIGSTOP)
                monkeypatch.setattr(solving, "SLACK", 0.1)
                with pytest.raises(SolverError, match="too long"):
                    await one.solve(Request(problem, None, 0.1))
                monkeypatch.setattr(solving, "SLACK", 60.0)
                assert process.returncode is not None
                assert (await one.solve(Request(problem, None, 5.0))).result is not None
            finally:
                await one.close()

    run(story())


def test_process_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that needs more memory than there may be costs an answer, not the brain."""
    monkeypatch.setattr(solving, "BACKOFF", (0.0, 0.0))
    monkeypatch.setattr(solving, "SLACK", 60.0)

    async def story() -> None:
        import numpy as np

        async with world(tmp_path) as w:
            fragmented(w.cluster)
            await w.caught_up()
            problem = problem_of(w)
            large: Any = np.zeros(1 << 26, np.int64)
            one = Solving(400 << 20, SystemClock())
            try:
                with pytest.raises(SolverError):
                    await one.solve(Request(problem, large, 5.0))
                assert (await one.solve(Request(problem, None, 5.0))).result is not None
            finally:
                await one.close()

    asyncio.run(story())
