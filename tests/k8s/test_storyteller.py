"""What tenants are told of plans names nobody of another tenant."""

from __future__ import annotations

import pytest

from optsched.k8s.events import About, Recorder
from optsched.k8s.records import (
    MovePhase,
    MoveStatus,
    ObjectMeta,
    Phase,
    PlacementPlan,
    PlannedMove,
    PlannedPlacement,
    PlanSpec,
    PlanStatus,
)
from optsched.k8s.settings import Mode
from optsched.k8s.storyteller import Storyteller, for_readers_in

REASONS = [
    "eviction of bank/ledger-7d9 refused: Cannot evict pod as it would violate the budget.",
    "pod bank/ledger-7d9 is gone",
    "pod bank/ledger-7d9 must stay: an annotation forbids it",
    "namespace bank is paused",
    "pods of namespace bank are not to be moved",
    'eviction of shop/cart refused: User "x" cannot create "pods/eviction" in the namespace "bank"',
]
OURS = [
    "the mode is Advisory",
    "it took too long",
    "node n7 is cordoned",
    "pod shop/cart-1 is gone",
    "namespace shop is paused",
    'eviction of shop/cart refused: User "x" cannot create "pods/eviction" in the namespace "shop"',
]


@pytest.mark.parametrize("reason", REASONS)
def test_other_tenants_are_not_named(reason: str) -> None:
    """Whatever an administrator may read of them in the plan."""
    said = for_readers_in("shop", reason)
    assert "bank" not in said
    assert "ledger" not in said
    assert for_readers_in("bank", REASONS[0]) == REASONS[0]


@pytest.mark.parametrize("reason", OURS)
def test_the_rest_is_told_as_it_is(reason: str) -> None:
    """One's own pods, and what belongs to nobody."""
    assert for_readers_in("shop", reason) == reason


def test_what_a_check_found_is_for_administrators() -> None:
    """It may be about any object, in any words."""
    found = "the cluster has changed: shop/cart and ledger of bank must not share a node"
    assert for_readers_in("shop", found) == "the cluster has changed"


def test_events_of_a_plan_across_tenants() -> None:
    """One is helped, another is moved: neither event names the other."""
    told: list[tuple[str, str]] = []

    class Heard(Recorder):
        def say(self, pod: About, reason: str, note: str, *, warn: bool = False) -> None:
            told.append((pod.namespace, f"{reason} {note}"))

    move = PlannedMove("m", "bank", "ledger-7d9", "n0", "n1", "o", "ReplicaSet")
    helped = PlannedPlacement("h", "shop", "cart-1", "n0")
    spec = PlanSpec(moves=(move,), placements=(helped,))
    story = Storyteller(Heard(None, lambda: None), lambda: Mode.ENFORCE)  # type: ignore[arg-type]
    for phase, reason in (
        (Phase.VALIDATED, ""),
        (Phase.EVICTING, ""),
        (Phase.ABORTED, REASONS[0]),
    ):
        begun = phase is not Phase.VALIDATED
        moves = {"m": MoveStatus(MovePhase.INTENDED)} if begun else {}
        status = PlanStatus(phase=phase, reason=reason, moves=moves)
        meta = ObjectMeta(name="plan-1", uid="p")
        story(PlacementPlan(metadata=meta, spec=spec, status=status))
    spaces = [(space, note.split()[0]) for space, note in told]
    assert spaces == [("shop", "PlanProposed"), ("bank", "Evicting"), ("shop", "PlanAborted")]
    others = {"shop": ("bank", "ledger"), "bank": ("shop", "cart")}
    assert not [note for space, note in told for name in others[space] if name in note]
