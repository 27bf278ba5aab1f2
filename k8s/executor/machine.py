"""The executor: reads where every plan stands, and does the next thing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable

import msgspec

from optsched.errors import FormatError
from optsched.k8s.api import ApiError
from optsched.k8s.bell import Bell
from optsched.k8s.clock import Clock
from optsched.k8s.executor import acting, waiting
from optsched.k8s.executor.acting import LATER, SOON
from optsched.k8s.executor.effects import Effects
from optsched.k8s.executor.run import Run, frozen
from optsched.k8s.leader import NotLeaderError
from optsched.k8s.limits import Ledger, outdated
from optsched.k8s.mirror import Mirror
from optsched.k8s.records import ACTING, WAITING, Phase, PlacementPlan, PlanSlot
from optsched.k8s.settings import Mode, Settings
from optsched.k8s.table import EMPTY

log = logging.getLogger(__name__)

NAMED = "`optsched simulate` of a dump names it"
IDLE = 1.0  # seconds between looks when there is nothing to do
CONFLICT = 0.05  # seconds until what somebody else has written is read
TROUBLE = 1.0  # seconds until a server that failed is asked again

Handler = Callable[[Run], Awaitable[float]]
HANDLERS: dict[Phase, Handler] = {
    Phase.PROPOSED: waiting.proposed,
    Phase.VALIDATED: waiting.validated,
    Phase.RESERVING: acting.reserving,
    Phase.EVICTING: acting.evicting,
    Phase.PLACING: acting.placing,
    Phase.COMPLETING: acting.completing,
    Phase.ABORTING: acting.aborting,
}


class OffError(Exception):
    """The mode is Off: nothing is written."""


class Executor:
    """Carries out the plans that are in the API server; keeps nothing of its own.

    Parameters
    ----------
    settings
        Asked in every step, so that a change of mode is felt at once.
    tell
        Called with every plan that was looked at and after every change of it.

    Attributes
    ----------
    frozen
        Why no plan may be begun, by the last look; "" if one may.
    """

    def __init__(
        self,
        effects: Effects,
        mirror: Mirror,
        settings: Callable[[], Settings],
        clock: Clock,
        rng: random.Random | None = None,
        tell: Callable[[PlacementPlan], None] = lambda plan: None,
    ) -> None:
        self._effects = effects
        self._tell = tell
        self.bell = Bell(clock)
        self.proposed = asyncio.Event()  # set it when a plan was written down
        self._mirror = mirror
        self._settings = settings
        self._clock = clock
        self._rng = rng or random.Random()
        self.frozen = ""
        self._acting: Run | None = None  # the plan that acts, as it was last seen

    async def run(self) -> None:
        """Step until cancelled."""
        self._mirror.bells.append(self.bell)
        while True:
            delay = await self.step()
            if delay in (SOON, LATER):  # what it waits for may have happened by the next event
                await self.bell.wait(delay, SOON)
            elif delay:
                await self._new_plan(delay)

    async def _new_plan(self, delay: float) -> None:
        """Wait, though not longer than until somebody says that there is a new plan."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self.proposed.wait()
        self.proposed.clear()

    async def step(self) -> float:
        """Do the next thing of each plan; seconds until the next look, 0: at once."""
        if self._settings().mode is Mode.OFF or not self._mirror.synced:
            return IDLE
        try:
            return await self._step()
        except NotLeaderError:
            return IDLE
        except OffError:
            return IDLE
        except ApiError as error:
            if error.status == 409:
                return CONFLICT
            log.warning("a step failed and is taken again: %d %s", error.status, error.reason)
            return max(TROUBLE, error.retry_after)
        except (FormatError, msgspec.MsgspecError):  # the error may quote what a tenant wrote
            log.error("a step failed and is taken again: an object cannot be read; %s", NAMED)
            return TROUBLE

    async def _step(self) -> float:
        plans, slot = await self._effects.plans(), await self._effects.slot()
        if slot is None:  # made before any plan acts, so that a person can pause the cluster there
            await self._effects.enter(None, ())
            return 0.0
        self.frozen = frozen(slot, self._mirror, Ledger(plans), self._clock.now())
        if await self._reap(plans, slot):
            return 0.0
        acts = [plan for plan in plans if plan.phase in ACTING]
        for plan in acts:
            return await self._handle(plan, plans, slot)
        waits = [plan for plan in plans if plan.phase in WAITING]
        for plan in waits:
            delay = await self._handle(plan, plans, slot, newer=plan is not waits[-1])
            if not delay or plan is waits[-1]:
                return delay
        return IDLE

    async def _handle(
        self,
        plan: PlacementPlan,
        plans: list[PlacementPlan],
        slot: PlanSlot,
        newer: bool = False,
    ) -> float:
        run = Run(
            plan,
            self._effects,
            self._mirror,
            self._settings(),
            self._clock,
            Ledger(plans),
            lambda: self._settings().mode,
            slot,
            newer,
            self._rng,
            self._tell,
        )
        self._tell(plan)
        try:
            return await HANDLERS[plan.phase](run)
        finally:
            self._acting = run if run.plan.phase in ACTING else None

    async def _reap(self, plans: list[PlacementPlan], slot: PlanSlot) -> bool:
        """Take away what plans that have ended, or are gone, left behind; whether there was any."""
        live = {plan.uid for plan in plans if plan.phase in ACTING or plan.phase in WAITING}
        if (run := self._acting) and run.plan.uid not in {plan.uid for plan in plans}:
            run.slot = slot  # somebody has deleted it, and with it whom it has nominated
            await acting.clean_up(run)
            self._acting = None
            return True
        found = False
        table = self._effects.table().plan
        if table and table not in live:
            self._effects.publish(EMPTY)
            found = True
        entered = slot.spec.active_plans
        if any(uid not in live for uid in entered):
            await self._effects.enter(slot, tuple(uid for uid in entered if uid in live))
            found = True
        for plan in outdated(plans, self._settings().moves, self._clock.now()):
            await self._effects.forget(plan)
            found = True
        return found
