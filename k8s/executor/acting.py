"""Plans that act: Reserving, Evicting, Placing, Completing."""

from __future__ import annotations

from typing import Any

import msgspec

from optsched.k8s import gates
from optsched.k8s.api import ApiError
from optsched.k8s.executor import gating, replacements, room
from optsched.k8s.executor.run import Run, TooLateError
from optsched.k8s.executor.validate import held_back
from optsched.k8s.executor.waiting import is_verdict
from optsched.k8s.records import MovePhase, MoveStatus, Phase, PlannedMove, PlannedPlacement
from optsched.k8s.table import EMPTY
from optsched.kube.podspec import Pod

ACK = 2_000  # ms in which the extender must have taken over a table before anything is moved
WAVE = 60_000  # ms that a wave may take, grace periods come on top
RETRY = 5_000  # ms after which a refused eviction is tried again at the earliest
WAKE = 2_000  # ms between attempts to make the scheduler look at a pod again
GONE = "nobody was left to help: they are gone, or others have taken their room"
SOON, LATER = 0.02, 0.2  # seconds between looks at what others do


async def reserving(run: Run) -> float:
    """Have the room kept before anything is touched."""
    if why := run.why_stop():
        return await _abort(run, why)
    if run.effects.gating:
        kept, who = await gating.hold(run), "the pods' gates do not last"
    else:
        kept, who = run.publish(), "the extender did not take over the plan in time"
    if not kept:
        return await _abort(run, who) if run.now - run.plan.status.since > ACK else SOON
    for one in room.unplaced(run.plan) if run.effects.gating else ():
        # The scheduler keeps the room of a gated pod that is nominated, as our filter would.
        if (pod := run.mirror.pod(one.uid)) is not None and gates.is_held(pod):
            await _nominate(run, one)
    phase = Phase.EVICTING if run.plan.spec.moves else Phase.COMPLETING
    await run.enter(phase, wave=0, wave_since=run.now)
    return 0.0


async def evicting(run: Run) -> float:
    """Ask for the evictions of this wave, as fast as the limits allow."""
    await _follow(run)
    why = run.why_stop()
    todo = [move for move in _wave(run) if _told(run, move).phase is MovePhase.INTENDED]
    if not why and todo and not any(_is_pending(run, one) for one in room.unplaced(run.plan)):
        why = "nobody is left to help"
    if why:
        return await _abort(run, why)
    if not todo:
        await run.enter(Phase.PLACING)
        return 0.0
    if _is_late(run):
        return await _abort(run, f"wave {run.plan.status.wave} could not be evicted in time")
    allowed, wait = _allowed(run, todo)
    if run.effects.gating:
        await gating.admit(run)  # replacements need not wait for the rest of the wave
    if not allowed:
        return wait
    if not await run.fresh():
        return LATER
    still = [move for move in run.plan.spec.moves if _told(run, move).phase is MovePhase.INTENDED]
    if why := (
        room.shortfall(run.plan, run.mirror) or held_back(still, run.mirror, run.settings, run.now)
    ):
        return await _abort(run, why)
    await _intend(run, allowed)
    if not run.publish():
        return SOON
    for move in allowed:
        if not await _evict(run, move):
            return LATER
    return 0.0


async def placing(run: Run) -> float:
    """Wait until the replacements of this wave are bound and the evicted pods are gone."""
    await _follow(run)
    if why := run.why_stop():
        return await _abort(run, why)
    status = run.plan.status
    if all(room.is_over(run.plan, move, run.mirror) for move in _wave(run)):
        if status.wave + 1 < run.plan.spec.waves:
            await run.enter(Phase.EVICTING, wave=status.wave + 1, wave_since=run.now)
        else:
            await run.enter(Phase.COMPLETING, wave_since=run.now)
        return 0.0
    if _is_late(run):
        return await _abort(run, f"wave {status.wave} was not placed again in time")
    if why := room.shortfall(run.plan, run.mirror):
        return await _abort(run, why)
    run.publish()
    await _help(run)
    return LATER


async def completing(run: Run) -> float:
    """Wait until the pods that are helped are bound; then leave nothing behind."""
    await _follow(run)
    if not room.unplaced(run.plan):
        placed = run.plan.status.placed
        helped = sum(bool(node) for node in placed.values())
        await clean_up(run)
        if not helped:
            await run.enter(Phase.PARTIALLY_DONE, GONE)
        else:
            planned = {one.uid: one.node for one in run.plan.spec.placements}
            there = sum(planned[uid] == node for uid, node in placed.items())
            await run.enter(Phase.DONE, f"{helped} placed, {there} of them where planned")
        return 0.0
    if why := run.why_stop():
        return await _abort(run, why)
    if out := room.crowded_out(run.plan, run.mirror):
        # Others are helped all the same; the planner will think of these again.
        await run.save(placed={**run.plan.status.placed, **dict.fromkeys(out, "")})
        return 0.0
    if _is_late(run):
        return await _abort(run, "the pods that were to be helped were not placed in time")
    run.publish()
    await _help(run)
    return LATER


async def aborting(run: Run) -> float:
    """Leave nothing behind and say what was done."""
    await _follow(run)
    await clean_up(run)
    disturbed = any(told.evicted for told in run.plan.status.moves.values())
    phase = Phase.PARTIALLY_DONE if disturbed else Phase.ABORTED
    await run.enter(phase, run.plan.status.reason)
    return 0.0


async def clean_up(run: Run) -> None:
    """Take back nominations, the table and the slot; harmless if done before."""
    named = {one.uid: one for one in run.plan.spec.placements}
    for uid in run.plan.status.nominated:
        pod, one = run.mirror.pod(uid), named[uid]
        # A cache that lags says "" of ours; taking back what is not there does no harm.
        if pod is None or pod.spec.node_name:
            continue
        if pod.status.nominated_node_name in ("", one.node):
            await run.effects.nominate(one.namespace, one.name, uid, "")
    if run.effects.table().plan == run.plan.uid:
        run.effects.publish(EMPTY)
    active = run.slot.spec.active_plans if run.slot else ()
    if run.plan.uid in active:
        await run.effects.enter(run.slot, tuple(uid for uid in active if uid != run.plan.uid))


async def _abort(run: Run, why: str) -> float:
    await run.enter(Phase.ABORTING, why)
    return 0.0


def _wave(run: Run) -> list[PlannedMove]:
    return [move for move in run.plan.spec.moves if move.wave == run.plan.status.wave]


def _told(run: Run, move: PlannedMove) -> MoveStatus:
    return run.plan.status.moves.get(move.uid, MoveStatus(MovePhase.INTENDED))


def _is_late(run: Run) -> bool:
    return run.now - run.plan.status.wave_since > WAVE + run.plan.spec.grace


def _is_pending(run: Run, one: PlannedPlacement) -> bool:
    pod = run.mirror.pod(one.uid)
    return pod is not None and not pod.spec.node_name and not pod.metadata.deletion_timestamp


async def _follow(run: Run) -> None:
    """Write down what has become of evicted pods and of those that are helped."""
    status = run.plan.status
    changes: dict[str, Any] = {}
    gone = {uid: told for uid, told in status.moves.items() if _has_gone_unnoticed(run, uid, told)}
    if gone:
        accepted = {
            uid: msgspec.structs.replace(told, phase=MovePhase.EVICTED, evicted=True)
            for uid, told in gone.items()
        }
        await run.save(moves={**status.moves, **accepted})
        status = run.plan.status
    moves = replacements.update(run.plan, run.mirror, run.now)
    if moves:
        changes["moves"] = {**status.moves, **moves}
    placed = {}
    for one in room.unplaced(run.plan):
        pod = run.mirror.pod(one.uid)
        if pod is None or pod.metadata.deletion_timestamp:
            placed[one.uid] = ""
        elif pod.spec.node_name:
            placed[one.uid] = pod.spec.node_name
    if placed:
        changes["placed"] = {**status.placed, **placed}
    if changes:
        await run.save(**changes)


def _has_gone_unnoticed(run: Run, uid: str, told: MoveStatus) -> bool:
    """Whether a pod goes whose eviction we meant to ask for.

    We asked and the answer was lost, or we died before it was written down; or somebody else was
    faster, which comes to the same.
    """
    if told.phase is not MovePhase.INTENDED:
        return False
    pod = run.mirror.pod(uid)
    return pod is None or pod.metadata.deletion_timestamp is not None


def _allowed(run: Run, todo: list[PlannedMove]) -> tuple[list[PlannedMove], float]:
    """The moves that may be asked for at once; if there are none, seconds to wait."""
    allowed: list[PlannedMove] = []
    waits = []
    for move in todo:
        told = _told(run, move)
        wait = max(0, told.retry - run.now)
        if not wait:
            wait = run.ledger.with_more(allowed, run.now).wait(move, run.settings.moves, run.now)
        if wait:
            waits.append(wait)
        else:
            allowed.append(move)
    return allowed, min(waits, default=0) / 1000


async def _intend(run: Run, moves: list[PlannedMove]) -> None:
    """Write down what is about to be done, in one go."""
    new = {
        move.uid: MoveStatus(
            MovePhase.INTENDED,
            at=run.now,
            known=replacements.known(move, run.mirror, run.now),
        )
        for move in moves
        if move.uid not in run.plan.status.moves
    }
    if new:
        await run.save(moves={**run.plan.status.moves, **new})


async def _evict(run: Run, move: PlannedMove) -> bool:
    """Ask for one eviction and write down what came of it; False if it is to be tried later."""
    told = run.plan.status.moves[move.uid]
    pod = run.mirror.pod(move.uid)
    if pod is None or pod.metadata.deletion_timestamp:
        await _tell(run, move, phase=MovePhase.EVICTED, evicted=True)
        return True
    if pod.spec.node_name != move.source:
        await _tell(run, move, phase=MovePhase.SKIPPED, reason="it is on another node")
        return True
    # Budgets do not protect pods that have not started: only this very state may go.
    entry = run.mirror.reflectors["Pod"].store[move.namespace, move.name]
    version = entry.version if pod.status.phase == "Pending" else ""
    try:
        await run.effects.evict(move, version, dry=True)
        await run.effects.evict(move, version, check=run.check_eviction)
    except TooLateError:
        return False
    except ApiError as error:
        if error.status == 409 and version:
            return False  # it is another state of the pod, not another pod: look again
        return await _refused(run, move, told, error)
    await _tell(run, move, phase=MovePhase.EVICTED, evicted=True)
    return True


async def _refused(run: Run, move: PlannedMove, told: MoveStatus, error: ApiError) -> bool:
    if not is_verdict(error):
        raise error
    if error.status == 404:
        await _tell(run, move, phase=MovePhase.EVICTED, evicted=True)
    elif error.status == 409:
        await _tell(run, move, phase=MovePhase.SKIPPED, reason="it is another pod by now")
    elif error.status == 429:
        wait = max(1000 * error.retry_after, RETRY) * (1 + 0.2 * run.rng.random())
        await _tell(run, move, retry=run.now + int(wait), reason="a disruption budget forbids it")
        return False
    else:
        why = f"eviction of {move.namespace}/{move.name} refused: {error.message[:120]}"
        await run.enter(Phase.ABORTING, why)
        return False
    return True


async def _tell(run: Run, move: PlannedMove, **changes: Any) -> None:
    told = msgspec.structs.replace(run.plan.status.moves[move.uid], **changes)
    await run.save(moves={**run.plan.status.moves, move.uid: told})


async def _help(run: Run) -> None:
    """Hurry the scheduler: nominate where there is room, and wake pods that it has turned away.

    A nomination keeps the room for a pod that is gated still, so gates are opened after it.
    """
    open_ = [one for one in room.unplaced(run.plan) if room.is_open(run.plan, one, run.mirror)]
    for one in open_:
        if room.has_room(run.mirror, one):
            await _nominate(run, one)
    if run.effects.gating:
        await gating.admit(run)
    if not run.effects.is_acknowledged():
        return
    asleep = [run.mirror.pod(one.uid) for one in open_] + _replacements(run)
    for pod in asleep:
        if pod is None or pod.spec.node_name or not _was_turned_away(pod):
            continue
        uid = pod.metadata.uid
        if run.now - run.plan.status.woken.get(uid, 0) >= WAKE:
            await run.save(woken={**run.plan.status.woken, uid: run.now})
            meta = pod.metadata
            await run.effects.wake(meta.namespace, meta.name, meta.uid, run.now)


async def _nominate(run: Run, one: PlannedPlacement) -> None:
    """Suggest the planned node to the scheduler, once."""
    if run.settings.moves.nominate == "Auto" and one.uid not in run.plan.status.nominated:
        await run.save(nominated=(*run.plan.status.nominated, one.uid))
        await run.effects.nominate(one.namespace, one.name, one.uid, one.node)


def _replacements(run: Run) -> list[Pod | None]:
    """Pods that may take a token and have not been bound."""
    found: list[Pod | None] = []
    for move in run.plan.spec.moves:
        if _told(run, move).phase is MovePhase.EVICTED:
            found += replacements.candidates(run.plan, move, run.mirror)
    return found


def _was_turned_away(pod: Pod) -> bool:
    rows = pod.status.conditions or ()
    refused = any(one.type == "PodScheduled" and one.status == "False" for one in rows)
    return refused and not pod.spec.scheduling_gates
