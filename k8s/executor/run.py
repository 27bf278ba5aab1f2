"""One plan in one step: what its phases work with."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from optsched.errors import OptschedError
from optsched.k8s.clock import Clock
from optsched.k8s.executor import room
from optsched.k8s.executor.effects import Effects
from optsched.k8s.executor.validate import paused_part
from optsched.k8s.limits import Ledger
from optsched.k8s.mirror import Mirror
from optsched.k8s.records import Phase, PlacementPlan, PlanSlot
from optsched.k8s.settings import Mode, Settings

NOT_READY_SHARE = 0.1  # of the nodes, above which nothing is begun


class TooLateError(OptschedError):
    """What was about to be done is not to be done any more; look again."""


@dataclass
class Run:
    """A plan, everything that is known around it, and what may be done about it.

    Attributes
    ----------
    settings
        As they were when the step began.
    mode
        The mode in force now.
    newer
        Whether a plan that was made later waits too.
    """

    plan: PlacementPlan
    effects: Effects
    mirror: Mirror
    settings: Settings
    clock: Clock
    ledger: Ledger
    mode: Callable[[], Mode]
    slot: PlanSlot | None = None
    newer: bool = False
    rng: random.Random = field(default_factory=random.Random)
    tell: Callable[[PlacementPlan], None] = lambda plan: None

    @property
    def now(self) -> int:
        """Milliseconds since 1970."""
        return self.clock.now()

    async def save(self, **changes: Any) -> None:
        """Write a changed status down; ApiError 409 if the plan is not as we think."""
        status = msgspec.structs.replace(self.plan.status, **changes)
        if status != self.plan.status:
            self.plan = await self.effects.save(self.plan, status)
            self.tell(self.plan)

    async def enter(self, phase: Phase, reason: str = "", **changes: Any) -> None:
        """Go on to another phase."""
        await self.save(phase=phase, since=self.now, reason=reason, **changes)

    async def fresh(self) -> bool:
        """Whether the cache agrees with the server; asks it if that is not known."""
        limit = self.settings.moves.max_cache_age.seconds
        if self.mirror.age() <= limit:
            return True
        await self.mirror.confirm(room.nodes_of(self.plan), limit)
        return self.mirror.age() <= limit

    def check_eviction(self) -> None:
        """Raise TooLateError unless the view is fresh and the mode allows it at this very moment.

        Asked when an eviction is about to be sent: the dry run before it may have taken its time.
        """
        if self.mode() is not Mode.ENFORCE:
            raise TooLateError("the mode has changed")
        if self.mirror.age() > self.settings.moves.max_cache_age.seconds:
            raise TooLateError("the view of the cluster has become too old")

    def publish(self) -> bool:
        """Tell the extender what the plan needs now; whether it answers from that."""
        expires = self.plan.status.deadline
        exempt = self.mirror.paused_namespaces()
        table = room.plan_table(self.plan, self.mirror, expires, exempt)
        current = self.effects.table()
        same = msgspec.structs.replace(current, generation=0, written=0)
        if same != table:
            self.effects.publish(table)
        return self.effects.is_acknowledged()

    def why_stop(self) -> str:
        """Why a plan that acts is to be given up, "" if it may go on."""
        if self.settings.mode is not Mode.ENFORCE:
            return f"the mode is {self.settings.mode.value}"
        if self.slot is None or self.plan.uid not in self.slot.spec.active_plans:
            return "it is not in the slot"
        if self.slot.paused:
            return "the cluster is paused"
        if self.now > self.plan.status.deadline:
            return "it took too long"
        return paused_part(self.plan, self.mirror, self.mirror.paused_namespaces())

    def frozen(self) -> str:
        """Why nothing may be begun in this cluster now, "" if something may."""
        return frozen(self.slot, self.mirror, self.ledger, self.now)


def frozen(slot: PlanSlot | None, mirror: Mirror, ledger: Ledger, now: int) -> str:
    """Why no plan may be begun, "" if one may."""
    if slot is not None and slot.paused:
        return "the cluster is paused"
    nodes = mirror.nodes()
    away = sum(room.why_closed(node) == "is not ready" for node in nodes)
    if away > NOT_READY_SHARE * len(nodes):
        return f"{away} of {len(nodes)} nodes are not ready"
    return ledger.frozen(now)
