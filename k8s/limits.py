"""How much may be disturbed: rates, cooldowns and pauses, read from the plans that are on record.

There is no counter in memory that a restart would forget: what was evicted when is in the status
of the plans, which are kept for as long as a cooldown lasts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from optsched.k8s.records import ENDED, MovePhase, Phase, PlacementPlan, PlannedMove
from optsched.k8s.settings import Moves

MINUTE = 60_000
FAILURES = 2  # failed plans within `FAILURE_WINDOW` after which ...
FAILURE_WINDOW = 10 * MINUTE
FROZEN = 30 * MINUTE  # ... nothing is begun for so long
KEPT = 60 * MINUTE  # that ended plans stay at least
FAILED = frozenset({Phase.ABORTED, Phase.PARTIALLY_DONE})


@dataclass(frozen=True)
class Disturbance:
    """One accepted eviction."""

    at: int
    plan: str
    move: PlannedMove
    running: bool  # its replacement is not placed yet


class Ledger:
    """What was disturbed lately; times in milliseconds."""

    def __init__(self, plans: Iterable[PlacementPlan]) -> None:
        self.plans = list(plans)
        self.all: list[Disturbance] = []
        for plan in self.plans:
            for move in plan.spec.moves:
                told = plan.status.moves.get(move.uid)
                if told is None or not (told.evicted or told.phase is MovePhase.INTENDED):
                    continue
                open_ = told.phase in (MovePhase.INTENDED, MovePhase.EVICTED)
                running = open_ and plan.phase not in ENDED
                self.all.append(Disturbance(told.at, plan.uid, move, running))

    def refusal(self, plan: PlacementPlan, moves: Moves, now: int) -> str:
        """Why a plan may not be begun now, "" if it may."""
        count = len(plan.spec.moves)
        if count > moves.max_per_plan:
            return f"it moves {count} pods, and {moves.max_per_plan} are allowed"
        cooling = {
            one.move.owner
            for one in self.all
            if one.plan != plan.uid and now - one.at < moves.owner_cooldown
        }
        if any(move.owner in cooling for move in plan.spec.moves):
            return f"an owner was disturbed less than {moves.owner_cooldown} ago"
        return ""

    def frozen(self, now: int) -> str:
        """Why nothing at all may be begun now, "" if something may."""
        ends = sorted(plan.status.since for plan in self.plans if plan.phase in FAILED)
        for first, last in zip(ends, ends[FAILURES - 1 :], strict=False):
            if last - first <= FAILURE_WINDOW and now - last < FROZEN:
                return f"{FAILURES} plans failed within {FAILURE_WINDOW // MINUTE} minutes"
        return ""

    def with_more(self, moves: Sequence[PlannedMove], now: int) -> Ledger:
        """As if these moves had just been begun too."""
        more = Ledger(())
        more.plans = self.plans
        begun = {move.uid for move in moves}
        more.all = [one for one in self.all if one.move.uid not in begun]
        more.all += [Disturbance(now, "", move, True) for move in moves]
        return more

    def wait(self, move: PlannedMove, moves: Moves, now: int) -> int:
        """Milliseconds until this move may be asked for; 0: now."""
        others = [one for one in self.all if one.move.uid != move.uid]
        running = [one.move for one in others if one.running]
        if (
            sum(one.owner == move.owner for one in running) >= moves.max_per_owner
            or sum(one.source == move.source for one in running) >= moves.max_per_node
            or sum(one.namespace == move.namespace for one in running) >= moves.max_per_namespace
        ):
            return 500
        return max(
            _until_free([one.at for one in others], moves.evictions_per_minute, MINUTE, now),
            _until_free([one.at for one in others], moves.evictions_per_second, 1000, now),
        )


def _until_free(times: list[int], most: int, window: int, now: int) -> int:
    """Milliseconds until fewer than `most` of the times lie in the window before."""
    recent = sorted(at for at in times if now - at < window)
    return recent[-most] + window - now if len(recent) >= most else 0


def outdated(plans: Iterable[PlacementPlan], moves: Moves, now: int) -> list[PlacementPlan]:
    """Plans that ended so long ago that nothing depends on them."""
    keep = max(KEPT, int(moves.owner_cooldown))
    return [plan for plan in plans if plan.phase in ENDED and now - plan.status.since > keep]
