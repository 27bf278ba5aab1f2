"""A planner of the fake world, with its solver in this process, and time that passes when told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_world import World, fragmented, run, world

from optsched.k8s.events import Recorder
from optsched.k8s.executor.effects import Effects
from optsched.k8s.planner import child
from optsched.k8s.planner.messages import Answer, Request
from optsched.k8s.planner.planner import Planner
from optsched.k8s.planner.solving import SolverError
from optsched.k8s.records import PlacementPlan, decode_plan
from optsched.k8s.settings import Settings


@dataclass
class InProcess:
    """The solver without its process; counts what it is asked."""

    asked: list[Request] = field(default_factory=list)
    fails: str = ""

    async def solve(self, request: Request) -> Answer:
        """The answer."""
        self.asked.append(request)
        if self.fails:
            raise SolverError(self.fails)
        return child.answer(request)


def planner(w: World, solver: InProcess) -> Planner:
    """A planner of this world."""
    events = Recorder(w.client, lambda: None)
    effects = Effects(w.client, w.board, w.permit)
    return Planner(w.mirror, effects, solver, lambda: w.settings, w.clock, events, lambda: w.leads)


def plans(w: World) -> list[PlacementPlan]:
    """What was written down."""
    import msgspec

    return [decode_plan(msgspec.json.encode(tree)) for tree in w.api.all("placementplans")]


async def notes(w: World, one: Planner) -> dict[str, str]:
    """The last sentence about each pod."""
    await one.events.flush()
    return {tree["regarding"]["name"]: tree["note"] for tree in w.api.all("events")}


async def think(w: World, one: Planner, seconds: float = 3.0) -> None:
    """Let the planner look for so long."""
    end = w.clock.monotonic() + seconds
    while w.clock.monotonic() < end:
        await w.caught_up()
        delay = await one.step()
        w.clock.advance(max(delay, 0.01))


def told(
    folder: Path,
    change: Callable[[World], None] = lambda w: None,
    settings: Settings | None = None,
    seconds: float = 3.0,
    fill: Callable[..., Any] = fragmented,
) -> tuple[World, InProcess, list[PlacementPlan], dict[str, str]]:
    """What the planner makes of a fragmented cluster after a change of it."""
    solver = InProcess()

    async def story() -> tuple[World, InProcess, list[PlacementPlan], dict[str, str]]:
        async with world(folder, settings=settings) as w:
            fill(w.cluster)
            change(w)
            one = planner(w, solver)
            await think(w, one, seconds)
            return w, solver, plans(w), await notes(w, one)

    found: tuple[World, InProcess, list[PlacementPlan], dict[str, str]] = run(story())
    return found
