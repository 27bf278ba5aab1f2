"""What becomes of plans, told: events on the pods they help and move, and metrics."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from optsched.k8s.events import About, Recorder
from optsched.k8s.records import ENDED, MovePhase, Phase, PlacementPlan, PlannedMove
from optsched.k8s.settings import Mode

WHOLE = ("the cluster has changed", "the cluster cannot be read")
# The namespaces that a reason names: of NAMESPACE/NAME, but not of pods/eviction, and by itself.
_NAMED = re.compile(r"([a-z0-9][-a-z0-9]*)/[a-z0-9]|namespace \"?([a-z0-9][-a-z0-9]*)")
FAILED = frozenset({Phase.REJECTED, Phase.EXPIRED, Phase.ABORTED, Phase.PARTIALLY_DONE})


@dataclass
class Storyteller:
    """Compares each plan with what it was when last seen.

    Attributes
    ----------
    mode
        The mode in force, for sentences.
    on_phase
        Called with (plan, phase left or None, seconds spent in it).
    on_move
        Called with the phase that a move has come to.
    """

    events: Recorder
    mode: Callable[[], Mode]
    on_phase: Callable[[PlacementPlan, Phase | None, float], None] = lambda plan, left, spent: None
    on_move: Callable[[MovePhase], None] = lambda phase: None
    _seen: dict[str, PlacementPlan] = field(default_factory=dict)

    def __call__(self, plan: PlacementPlan) -> None:
        """A plan was written."""
        before = self._seen.get(plan.uid)
        self._seen[plan.uid] = plan
        if plan.phase in ENDED:
            del self._seen[plan.uid]
        if before is None or before.phase is not plan.phase:
            since = (before.status.since or plan.spec.created) if before else plan.status.since
            spent = (plan.status.since - since) / 1000
            self.on_phase(plan, before.phase if before else None, max(0.0, spent))
            self._phase(plan)
        old = before.status.moves if before else {}
        for move in plan.spec.moves:
            told = plan.status.moves.get(move.uid)
            was = old.get(move.uid)
            if told is not None and (was is None or was.phase is not told.phase):
                self.on_move(told.phase)
                if told.phase is MovePhase.INTENDED:
                    self._moving(plan, move)
        placed = before.status.placed if before else {}
        for one in plan.spec.placements:
            node = plan.status.placed.get(one.uid)
            if node and one.uid not in placed:
                count = sum(told.evicted for told in plan.status.moves.values())
                self.events.say(
                    About(one.namespace, one.name, one.uid),
                    "Placed",
                    f"Placed on node {node} after {_pods(count)} made room, "
                    f"as plan {plan.metadata.name} says.",
                )

    def _phase(self, plan: PlacementPlan) -> None:
        name = plan.metadata.name
        for one in plan.spec.placements:
            about = About(one.namespace, one.name, one.uid)
            if one.uid in plan.status.placed:
                if plan.phase in ENDED and not plan.status.placed[one.uid]:
                    note = f"Not helped by plan {name}: the room was taken, or the pod is going."
                    self.events.say(about, "PlanAborted", note, warn=True)
                continue
            if plan.phase is Phase.RECORDED:
                self.events.say(
                    about,
                    "PlanProposed",
                    f"Would fit on node {one.node} once {_moved(len(plan.spec.moves))}; see "
                    f"plan {name}. Nothing is done in mode {self.mode().value}.",
                )
            elif plan.phase is Phase.VALIDATED and self.mode() is Mode.ENFORCE:
                self.events.say(
                    about,
                    "PlanProposed",
                    f"Will fit on node {one.node} once {_moved(len(plan.spec.moves))}; see "
                    f"plan {name}.",
                )
            elif plan.phase in FAILED:
                word = "Rejected" if plan.phase is Phase.REJECTED else "Aborted"
                why = for_readers_in(one.namespace, plan.status.reason)
                note = f"Not helped by plan {name}: {why}."
                self.events.say(about, f"Plan{word}", note, warn=True)

    def _moving(self, plan: PlacementPlan, move: PlannedMove) -> None:
        helped = [one for one in plan.spec.placements if one.namespace == move.namespace]
        # The pods of one tenant are not named to another.
        whom = f"pod {helped[0].name}" if len(helped) == 1 else "pods that are pending"
        self.events.say(
            About(move.namespace, move.name, move.uid),
            "Evicting",
            f"Evicted from node {move.source} so that its replacement runs on {move.target} and "
            f"makes room for {whom}; plan {plan.metadata.name}.",
        )


def for_readers_in(namespace: str, reason: str) -> str:
    """What may be said to tenants of a namespace of why a plan has ended.

    Reasons are for administrators, who can read plans, and name pods of whatever tenant.
    """
    if (head := reason.partition(":")[0]) in WHOLE:
        return head  # what follows may be about any object of the cluster
    named = {first or second for first, second in _NAMED.findall(reason)} - {"pods"}
    return reason if named <= {namespace} else "something in another namespace forbids it"


def _moved(count: int) -> str:
    return f"{_pods(count)} {'has' if count == 1 else 'have'} moved"


def _pods(count: int) -> str:
    return "1 pod" if count == 1 else f"{count} pods"
