"""Steering by gates: whom a plan holds, and whom it lets go where (deployment Gated).

Nothing here is remembered: that a pod was let go shows in the pod itself, so a process that is
killed between two writes does the rest when it comes back.
"""

from __future__ import annotations

from optsched.k8s import gates
from optsched.k8s.executor import replacements, room
from optsched.k8s.executor.run import Run
from optsched.k8s.records import MovePhase, PlannedMove
from optsched.kube.podspec import Pod


async def hold(run: Run) -> bool:
    """See that those who are to be helped stay gated while the plan acts; whether they do.

    A pod that is not gated any more can be helped all the same: the scheduler places it.
    """
    sure = True
    for one in room.unplaced(run.plan):
        pod = run.mirror.pod(one.uid)
        if pod is None or not gates.is_held(pod):
            continue
        notes = pod.metadata.annotations
        if notes is None or notes.gate_until != str(run.plan.status.deadline):
            await run.effects.hold(pod, run.plan.status.deadline)
            sure = False  # until the cache shows it
    return sure


async def admit(run: Run) -> None:
    """Let go whom there is room for: replacements at once, helped pods when it is their turn."""
    for move, pod in _pairs(run):
        await run.effects.open(pod, run.mirror.node(move.target))
    for one in room.unplaced(run.plan):
        helped = run.mirror.pod(one.uid)
        if helped is None or not gates.is_held(helped):
            continue
        if room.is_open(run.plan, one, run.mirror) and room.has_room(run.mirror, one):
            await run.effects.open(helped, run.mirror.node(one.node))


def _pairs(run: Run) -> list[tuple[PlannedMove, Pod]]:
    """Held replacements, each with the move whose target it is let go to."""
    pairs: list[tuple[PlannedMove, Pod]] = []
    taken = {told.replacement for told in run.plan.status.moves.values() if told.replacement}
    open_ = []
    for move in run.plan.spec.moves:
        told = run.plan.status.moves.get(move.uid)
        if told is None or told.phase is not MovePhase.EVICTED:
            continue
        found = [
            pod
            for pod in replacements.candidates(run.plan, move, run.mirror)
            if pod.metadata.uid not in taken
        ]
        led = next((pod for pod in found if gates.led_to(pod) == move.target), None)
        if led is not None:
            taken.add(led.metadata.uid)
        else:
            open_.append((move, found))
    for move, found in open_:
        held = (pod for pod in found if pod.metadata.uid not in taken and gates.is_held(pod))
        if (pod := next(held, None)) is not None:
            taken.add(pod.metadata.uid)
            pairs.append((move, pod))
    return pairs
