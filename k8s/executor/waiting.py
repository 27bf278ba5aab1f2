"""Plans that have not begun: Proposed and Validated."""

from __future__ import annotations

from optsched.k8s.api import ApiError
from optsched.k8s.executor.run import Run
from optsched.k8s.executor.validate import refusal
from optsched.k8s.records import Phase
from optsched.k8s.settings import Mode

HOLD = 0.2  # seconds until a cache that lags is looked at again
PATIENCE = 1.0  # seconds between looks at what a person or another plan decides


async def proposed(run: Run) -> float:
    """Look at it closely: Validated or Rejected."""
    if await _has_ended(run):
        return 0.0
    if not await run.fresh():
        return HOLD
    why = await _refused(run) or await _dry_run(run)
    if why:
        await run.enter(Phase.REJECTED, why)
    else:
        await run.enter(Phase.VALIDATED)
    return 0.0


async def validated(run: Run) -> float:
    """Begin if that is allowed and nobody else acts."""
    if await _has_ended(run):
        return 0.0
    mode, moves = run.settings.mode, run.settings.moves
    if mode is not Mode.ENFORCE:
        await run.enter(Phase.RECORDED, f"the mode is {mode.value}: nothing is done")
        return 0.0
    if moves.approval == "Manual" and not run.plan.approved:
        return PATIENCE
    if run.frozen():
        return PATIENCE
    active = run.slot.spec.active_plans if run.slot else ()
    if any(uid != run.plan.uid for uid in active):
        return PATIENCE
    if run.now - run.plan.status.since > moves.max_cache_age:
        if not await run.fresh():
            return HOLD
        if why := await _refused(run):
            await run.enter(Phase.REJECTED, why)
            return 0.0
    if run.plan.uid not in active:
        await run.effects.enter(run.slot, (run.plan.uid,))
    wanted = int(moves.ttl) + run.plan.spec.grace * run.plan.spec.waves
    # The extender keeps room, and gates hold, no longer than that: nobody is evicted beyond it.
    deadline = run.now + min(wanted, int(run.settings.guard.max_life))
    await run.enter(Phase.RESERVING, wave_since=run.now, deadline=deadline)
    return 0.0


async def _has_ended(run: Run) -> bool:
    if run.newer:
        await run.enter(Phase.SUPERSEDED, "a newer plan was made")
    elif run.now > run.plan.spec.created + run.plan.spec.ttl:
        await run.enter(Phase.EXPIRED, "it was not begun in time")
    else:
        return False
    return True


async def _refused(run: Run) -> str:
    settings = run.settings
    why = await refusal(run.plan, run.mirror, settings, run.now)
    return why or run.ledger.refusal(run.plan, settings.moves, run.now)


async def _dry_run(run: Run) -> str:
    """Ask the API server about every eviction without doing it; "" or why one is refused."""
    if run.settings.mode is Mode.ADVISORY:
        return ""  # it asks for nothing, so that it needs no right to evict
    for move in run.plan.spec.moves:
        try:
            await run.effects.evict(move, dry=True)
        except ApiError as error:
            if not is_verdict(error):
                raise  # the server is in trouble; nothing is known about the pod
            return f"eviction of {move.namespace}/{move.name} refused: {error.message[:120]}"
    return ""


def is_verdict(error: ApiError) -> bool:
    """Whether an error says something about the eviction, not about the server."""
    if error.status == 429:
        return "DisruptionBudget" in error.causes
    if error.status == 500:
        return "PodDisruptionBudget" in error.message  # more than one of them
    return error.status in (403, 404, 409)
