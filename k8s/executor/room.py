"""What a plan still needs of its nodes: the extender's table, and whether the room is there."""

from __future__ import annotations

from collections.abc import Iterable

from optsched.k8s.mirror import Mirror
from optsched.k8s.records import (
    MovePhase,
    PlacementPlan,
    PlannedMove,
    PlannedPlacement,
)
from optsched.k8s.table import Lock, Member, PlanTable, Room, Token
from optsched.kube.objects import Node

FINISHED = (MovePhase.PLACED, MovePhase.SKIPPED)


def is_finished(plan: PlacementPlan, move: PlannedMove) -> bool:
    """Whether nothing is to be done about the move any more."""
    told = plan.status.moves.get(move.uid)
    return told is not None and told.phase in FINISHED


def is_over(plan: PlacementPlan, move: PlannedMove, mirror: Mirror) -> bool:
    """Whether the replacement is placed and the old pod holds no room any more."""
    if not is_finished(plan, move):
        return False
    told = plan.status.moves[move.uid]
    return told.phase is MovePhase.SKIPPED or mirror.pod(move.uid) is None


def unplaced(plan: PlacementPlan) -> list[PlannedPlacement]:
    """The pods that are still to be helped."""
    return [one for one in plan.spec.placements if one.uid not in plan.status.placed]


def is_open(plan: PlacementPlan, one: PlannedPlacement, mirror: Mirror) -> bool:
    """Whether a helped pod may enter: what was moved before it, or for it, is placed again."""
    return all(
        is_over(plan, move, mirror)
        for move in plan.spec.moves
        if move.wave < one.wave or move.source == one.node
    )


def entering(plan: PlacementPlan, wave: int | None = None) -> dict[str, Room]:
    """Per node what is still to enter it: all of the plan, or replacements of one wave."""
    needs: dict[str, Room] = {}
    for move in plan.spec.moves:
        if not is_finished(plan, move) and wave in (None, move.wave):
            _add(needs.setdefault(move.target, {}), move.request)
    for one in unplaced(plan) if wave is None else ():
        _add(needs.setdefault(one.node, {}), one.request)
    return needs


def nodes_of(plan: PlacementPlan) -> set[str]:
    """All nodes that the plan has to do with."""
    ends = {node for move in plan.spec.moves for node in (move.source, move.target)}
    return ends | {one.node for one in plan.spec.placements}


def shortfall(plan: PlacementPlan, mirror: Mirror) -> str:
    """Why what is still to come has no room any more, "" if it has."""
    leaving: dict[str, Room] = {}
    for move in plan.spec.moves:
        pod = mirror.pod(move.uid)
        if pod is not None and pod.spec.node_name == move.source:
            _add(leaving.setdefault(move.source, {}), move.request)
    for name, need in entering(plan).items():
        free = mirror.free(name)
        _add(free, leaving.get(name, {}))
        if closed := why_closed(mirror.node(name)):
            return f"node {name} {closed}"
        if not _holds(free, need):
            return f"node {name} has no room any more for what the plan wants there"
    for name, need in entering(plan, plan.status.wave).items():
        if not _holds(mirror.free(name), need):
            return f"node {name} has no room yet for wave {plan.status.wave}"
    return ""


def crowded_out(plan: PlacementPlan, mirror: Mirror) -> list[str]:
    """UIDs of helped pods whose node has no room for them any more, when all moves are over."""
    left = {one.node: mirror.free(one.node) for one in unplaced(plan)}
    out = []
    for one in unplaced(plan):
        if why_closed(mirror.node(one.node)) or not _holds(left[one.node], one.request):
            out.append(one.uid)
        else:
            _add(left[one.node], {what: -amount for what, amount in one.request.items()})
    return out


def has_room(mirror: Mirror, one: PlannedPlacement) -> bool:
    """Whether the pod fits onto its node as that is now."""
    return _holds(mirror.free(one.node), one.request)


def why_closed(node: Node | None) -> str:
    """Why nothing may be planned onto the node, "" if something may."""
    if node is None or node.metadata.deletion_timestamp:
        return "is gone"
    if node.spec.unschedulable:
        return "is cordoned"
    ready = [one.status for one in node.status.conditions or () if one.type == "Ready"]
    return "is not ready" if ready and ready[0] != "True" else ""


def plan_table(
    plan: PlacementPlan, mirror: Mirror, expires: int, exempt: Iterable[str]
) -> PlanTable:
    """What the extender needs to know of the plan, by the cluster as it is now."""
    deadline = plan.status.deadline
    members = {
        one.uid: Member(one.node, deadline, open=is_open(plan, one, mirror))
        for one in unplaced(plan)
    }
    tokens = []
    for move in plan.spec.moves:
        told = plan.status.moves.get(move.uid)
        if told is not None and not is_finished(plan, move):
            name = move.name if move.owner_kind == "StatefulSet" else ""
            tokens.append(
                Token(
                    move.uid, move.namespace, move.owner, move.target, told.at, deadline,
                    move.hash, name, move.index, known=told.known,
                )
            )  # fmt: skip
    locks = {name: _lock(plan, mirror, name, need) for name, need in entering(plan).items()}
    settled = {pod.metadata.uid for name in locks for pod in mirror.pods_on(name)}
    for move in plan.spec.moves:
        settled.update(mirror.gone_of(move.owner))
    return PlanTable(
        plan=plan.uid,
        expires=expires,
        priority=plan.spec.priority,
        members=members,
        tokens=tuple(tokens),
        locks=locks,
        settled=frozenset(settled),
        exempt=frozenset(exempt),
    )


def _lock(plan: PlacementPlan, mirror: Mirror, name: str, need: Room) -> Lock:
    """What is kept on a node, and what of its room the plan's own evictions have made or will."""
    free = mirror.free(name)
    without, most = dict(free), dict(free)
    evicted = [
        move
        for move in plan.spec.moves
        if move.source == name and (told := plan.status.moves.get(move.uid)) and told.evicted
    ]
    for move in evicted:
        if mirror.pod(move.uid) is None:
            _add(without, {what: -amount for what, amount in move.request.items()})
        else:
            _add(most, move.request)
    if not evicted:
        without, most = {}, {}
    return Lock(plan.status.deadline, free, need, without=without, most=most)


def _add(room: Room, more: Room) -> None:
    for what, amount in more.items():
        room[what] = room.get(what, 0) + amount


def _holds(free: Room, need: Room) -> bool:
    return all(amount <= free.get(what, 0) for what, amount in need.items() if amount > 0)
