"""Everything the executor writes. Before each write it is asked whether it may be done at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from optsched.k8s import gates
from optsched.k8s.api import MERGE, Api, ApiError
from optsched.k8s.mirror import PODS
from optsched.k8s.records import (
    PLANS,
    SLOT,
    SLOTS,
    PlacementPlan,
    PlannedMove,
    PlanSlot,
    PlanStatus,
    SlotSpec,
    body_of,
    decode_plan,
    decode_plans,
    decode_slot,
)
from optsched.k8s.table import EMPTY, Board, PlanTable
from optsched.kube.objects import Node
from optsched.kube.podspec import Pod


class Effects:
    """Reads and writes of the executor.

    Parameters
    ----------
    permit
        Called when a write is about to be sent; raises if nothing may be written now.
    point
        Called before and after every write with its name; tests end the process here.
    on_reply
        Called with the name of every write and the status of its reply, 0 if there was none.
    """

    def __init__(
        self,
        api: Api,
        board: Board | None,
        permit: Callable[[], None],
        point: Callable[[str], None] = lambda name: None,
        on_reply: Callable[[str, int], None] = lambda name, status: None,
    ) -> None:
        self._on_reply = on_reply
        self._api = api
        self._board = board
        self._permit = permit
        self._point = point

    @property
    def gating(self) -> bool:
        """Whether pods are steered by their gates, because there is no extender."""
        return self._board is None

    async def plans(self) -> list[PlacementPlan]:
        """All plans, oldest first."""
        return decode_plans(await self._api.get(PLANS.path))

    async def slot(self) -> PlanSlot | None:
        """The slot, None if it was never made."""
        try:
            return decode_slot(await self._api.get(SLOTS.at("", SLOT)))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, plan: PlacementPlan) -> PlacementPlan:
        """Write a new plan down."""
        body = await self._write("create", "POST", PLANS.path, body_of(plan))
        return decode_plan(body)

    async def save(self, plan: PlacementPlan, status: PlanStatus) -> PlacementPlan:
        """Replace the status; ApiError 409 if the plan is not what we think it is."""
        path = PLANS.at("", plan.metadata.name, "status")
        return decode_plan(await self._write("status", "PUT", path, body_of(plan, status)))

    async def forget(self, plan: PlacementPlan) -> None:
        """Delete a plan that ended long ago."""
        body = {"preconditions": {"uid": plan.uid}}
        try:
            await self._write("forget", "DELETE", PLANS.at("", plan.metadata.name), body)
        except ApiError as error:
            if error.status not in (404, 409):
                raise

    async def enter(self, slot: PlanSlot | None, active: tuple[str, ...]) -> None:
        """Write who acts; ApiError 409 if somebody else was faster."""
        if slot is None:
            made = PlanSlot(spec=SlotSpec(active))
            await self._write("slot", "POST", SLOTS.path, _slot_body(made))
            return
        made = msgspec.structs.replace(slot, spec=SlotSpec(active))
        await self._write("slot", "PUT", SLOTS.at("", SLOT), _slot_body(made))

    def table(self) -> PlanTable:
        """What the extender answers from."""
        return self._board.read() if self._board is not None else EMPTY

    def publish(self, table: PlanTable) -> None:
        """Give the extender another table."""
        if self._board is None:
            return
        self._permit()
        self._point("before table")
        self._board.publish(table)
        self._point("after table")

    def is_acknowledged(self) -> bool:
        """Whether the extender answers from the current table; True where there is no extender."""
        return self._board is None or self._board.is_acknowledged(self._board.read())

    def troubles(self) -> tuple[str, ...]:
        """Members and tokens that the extender has given up."""
        ack = self._board.ack() if self._board is not None else None
        return ack.released if ack is not None else ()

    async def evict(
        self,
        move: PlannedMove,
        version: str = "",
        *,
        dry: bool = False,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Ask for an eviction, of this very pod; ApiError as the server refuses.

        `check` raises if, when it is about to be sent, it is not to be.
        """
        options: dict[str, Any] = {"preconditions": {"uid": move.uid}}
        if version:
            options["preconditions"]["resourceVersion"] = version
        if dry:
            options["dryRun"] = ["All"]
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": move.name, "namespace": move.namespace},
            "deleteOptions": options,
        }
        path = PODS.at(move.namespace, move.name, "eviction")
        await self._write("dry-run" if dry else "evict", "POST", path, body, check=check)

    async def nominate(self, namespace: str, name: str, uid: str, node: str) -> bool:
        """Suggest a node to the scheduler, "" to take it back; False if the pod is gone."""
        body = {"metadata": {"uid": uid}, "status": {"nominatedNodeName": node or None}}
        path = PODS.at(namespace, name, "status")
        try:
            await self._write("nominate" if node else "clear", "PATCH", path, body, MERGE)
        except ApiError as error:
            if error.status in (404, 409):
                return False
            raise
        return True

    async def wake(self, namespace: str, name: str, uid: str, at: int) -> None:
        """Make the scheduler look at a pod again, by an annotation; no harm if that is refused.

        It does so for a change of the pod, not for one of the plan table.
        """
        body = {"metadata": {"uid": uid, "annotations": {"optsched.io/woken": str(at)}}}
        try:
            await self._write("wake", "PATCH", PODS.at(namespace, name), body, MERGE)
        except ApiError as error:
            if error.status not in (403, 404, 409):
                raise

    async def hold(self, pod: Pod, until: int) -> bool:
        """Let a gate last until a plan is over at the latest; False if the pod is gone."""
        notes = {gates.UNTIL: str(until)}
        body = {"metadata": {"uid": pod.metadata.uid, "annotations": notes}}
        return await self._patch("hold", pod, body)

    async def open(self, pod: Pod, node: Node | None = None) -> bool:
        """Take our gate away, and lead the pod to a node; False if the pod is gone."""
        return await self._patch("open", pod, gates.opening(pod, node))

    async def _patch(self, name: str, pod: Pod, body: Any) -> bool:
        path = PODS.at(pod.metadata.namespace, pod.metadata.name)
        try:
            await self._write(name, "PATCH", path, body, MERGE)
        except ApiError as error:
            if error.status in (404, 409, 422):
                return False
            raise
        return True

    async def _write(
        self,
        name: str,
        method: str,
        path: str,
        body: Any,
        kind: str = "application/json",
        check: Callable[[], None] = lambda: None,
    ) -> bytes:
        def begin() -> None:  # a request may wait for its turn, and the Lease not last so long
            self._permit()
            check()
            self._point(f"before {name}")

        try:
            reply = await self._api.request(method, path, body, kind=kind, begin=begin)
        except ApiError as error:
            self._on_reply(name, error.status)
            raise
        self._on_reply(name, 201)
        self._point(f"after {name}")
        return reply


def _slot_body(slot: PlanSlot) -> dict[str, Any]:
    return {
        "apiVersion": slot.api_version,
        "kind": slot.kind,
        "metadata": msgspec.to_builtins(slot.metadata),
        "spec": msgspec.to_builtins(slot.spec) | {"activePlans": list(slot.spec.active_plans)},
    }
