"""The loop: gather, build the tables, have them solved, decide, write the plan down."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from optsched.errors import FormatError, PlanError
from optsched.k8s import gates
from optsched.k8s.api import ApiError
from optsched.k8s.bell import Bell
from optsched.k8s.clock import Clock
from optsched.k8s.events import About, Recorder
from optsched.k8s.executor.effects import Effects
from optsched.k8s.executor.machine import OffError
from optsched.k8s.leader import NotLeaderError
from optsched.k8s.limits import Ledger
from optsched.k8s.mirror import Mirror
from optsched.k8s.planner import tables
from optsched.k8s.planner.messages import Answer, Request
from optsched.k8s.planner.solving import SolverError
from optsched.k8s.planner.verdict import Choice, Verdict, verdict
from optsched.k8s.planner.waiting import Waiting, why_not
from optsched.k8s.proposal import proposal
from optsched.k8s.records import ACTING, WAITING, Phase, PlacementPlan
from optsched.k8s.settings import Mode, Settings
from optsched.kube.cluster import pod_name
from optsched.kube.podspec import Pod
from optsched.problem import PlacementProblem
from optsched.result import Result

log = logging.getLogger(__name__)

IDLE = 1.0  # seconds between looks when nobody waits
BUSY = 0.2  # seconds between looks while a plan acts
SHY = 600_000  # ms for which a pod is left alone whose eviction was refused
# The error names objects, and names are a tenant's.
UNREADABLE = "the cluster cannot be read; `optsched simulate` of a dump says what is wrong"
CHANGED = (Phase.DONE, Phase.PARTIALLY_DONE)
_REFUSED = re.compile(r"eviction of (\S+/\S+) refused")


class Solver(Protocol):
    """What answers requests; raises SolverError if it cannot."""

    async def solve(self, request: Request) -> Answer:
        """The answer."""
        ...


@dataclass
class Planner:
    """Makes plans for pods that wait; keeps nothing that a restart would miss.

    Attributes
    ----------
    leads
        Whether this replica may write.
    on_plan
        Called when a plan was written down.
    observe
        Called with a word for the outcome of a solve, and its seconds.
    """

    mirror: Mirror
    effects: Effects
    solver: Solver
    settings: Callable[[], Settings]
    clock: Clock
    events: Recorder
    leads: Callable[[], bool] = lambda: True
    on_plan: Callable[[], None] = lambda: None
    observe: Callable[[str, float], None] = lambda outcome, seconds: None
    waiting: Waiting = field(default_factory=Waiting)
    _done: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Look whenever something changed, until cancelled."""
        bell = Bell(self.clock)
        self.mirror.bells.append(bell)
        while True:
            began = self.clock.monotonic()
            delay = await self.step()
            # However much happens in the cluster, looking takes a small share of the time.
            least = min(1.0, 20 * (self.clock.monotonic() - began)) if delay else 0.0
            await bell.wait(delay, least)

    async def step(self) -> float:
        """Do what is due; seconds until the next look."""
        settings = self.settings()
        if settings.mode is Mode.OFF or not self.mirror.synced or not self.leads():
            return IDLE
        now = self.clock.monotonic()
        batch = self.waiting.look(self.mirror, settings, now)
        try:
            if settings.gating:
                await self._open(self._not_ours(settings))
        except (NotLeaderError, OffError, ApiError):
            return IDLE
        if not batch:
            return min(IDLE, self.waiting.next_ripe(settings, now))
        delay = self.waiting.delay(settings, now)
        if delay:
            return delay
        try:
            return await self._plan(batch, settings)
        except (NotLeaderError, OffError):
            return IDLE
        except ApiError as error:
            log.warning("no plan was made: %d %s", error.status, error.reason)
            return max(IDLE, error.retry_after)

    async def _plan(self, batch: list[Pod], settings: Settings) -> float:
        plans = await self.effects.plans()
        self._learn(plans)
        uids = [pod.metadata.uid for pod in batch]
        if why := _why_wait(plans, settings, set(uids), self.clock.now()):
            log.debug("no plan is made now: %s", why)
            await self._open(_above(batch, plans))
            return BUSY
        cooling = _cooling(plans, settings, self.clock.now())
        seen = tables.view(self.mirror, settings, self.clock.now(), set(uids), cooling)
        seen.stays.update(dict.fromkeys(_shy(plans, self.clock.now()), "its eviction was refused"))
        began = self.clock.monotonic()
        try:
            problem, later = await asyncio.to_thread(_tables, seen)
            request = Request(
                problem, later, settings.planner.time_limit.seconds, settings.planner.workers
            )
            answer = await self.solver.solve(request)
        except (FormatError, SolverError) as error:
            outcome = "unreadable" if isinstance(error, FormatError) else "failed"
            self.observe(outcome, self.clock.monotonic() - began)
            log.error("no plan: %s", UNREADABLE if outcome == "unreadable" else error)
            await self._open(batch)
            self.waiting.tried(uids, self.clock.monotonic())
            return IDLE
        assert answer.result is not None
        self.observe(answer.result.status.value, answer.seconds)
        await self._decide(batch, problem, answer, plans)
        self.waiting.tried(uids, self.clock.monotonic())
        return BUSY

    async def _decide(
        self,
        batch: list[Pod],
        problem: PlacementProblem,
        answer: Answer,
        plans: list[PlacementPlan],
    ) -> None:
        """Write the plan down, or say why there is none."""
        settings, result = self.settings(), answer.result
        assert result is not None
        try:  # the solver is another process: whatever it says, this one goes on
            told = verdict(problem, answer, settings.planner)
            if told.choice is not Choice.MOVE:
                log.info("no plan for pods that wait (%d): %s", len(batch), told.choice.value)
                self._refuse(batch, _placed(problem, result), told)
                await self._open(batch)
                return
            plan = proposal(problem, result, self.mirror, settings, self.clock.now())
        except PlanError as error:
            log.info("a plan cannot be carried out: %s", type(error).__name__)
            why = "the plan that was found cannot be carried out by evictions"
            self._refuse(batch, set(), Verdict(Choice.NOTHING, why, why))
            await self._open(batch)
            return
        helped = {one.uid for one in plan.spec.placements}
        others = [pod for pod in batch if pod.metadata.uid not in helped]
        self._refuse(others, set(), told)
        await self._open(others)
        if settings.mode is not Mode.ENFORCE and _is_known(plan, plans, self.mirror):
            return
        made = await self.effects.create(plan)
        log.info("plan %s: %s", made.metadata.name, made.spec.summary)
        self.on_plan()

    def _not_ours(self, settings: Settings) -> list[Pod]:
        """Held pods that are not to be helped, so that nobody would ever open their gates."""
        pods = [pod for pod in self.mirror.pending() if gates.is_held(pod)]
        free = [pod for pod in pods if not pod.status.nominated_node_name]  # of no plan
        return [pod for pod in free if why_not(pod, self.mirror, settings)]

    async def _open(self, pods: Iterable[Pod]) -> None:
        """Leave these to the scheduler."""
        for pod in pods:
            if self.settings().gating and gates.is_held(pod):
                await self.effects.open(pod)

    def _refuse(self, pods: Iterable[Pod], placed: set[str], told: Verdict) -> None:
        for pod in pods:
            if gates.is_held(pod):
                continue  # the scheduler has not been asked yet; it may well have a place
            meta = pod.metadata
            about = About(meta.namespace, meta.name, meta.uid)
            why = told.why if pod_name(meta) in placed else told.rest
            self.events.say(about, "NotHelped", f"Not helped by moving pods: {why}.")

    def _learn(self, plans: list[PlacementPlan]) -> None:
        """When a plan has changed the cluster, those that are left are thought of again, at once.

        Also if it did not end well, which cannot go on for ever: two such plans, and none is begun.
        """
        done = frozenset(plan.uid for plan in plans if plan.phase in CHANGED)
        if done - self._done:
            self.waiting.encourage()
        self._done = done


def _placed(problem: PlacementProblem, result: Result) -> set[str]:
    """Names of the pending pods for which there is a place."""
    moves = result.plan.moves()
    return {problem.items.names[move.item] for move in moves if move.source < 0 <= move.target}


def _tables(seen: tables.View) -> tuple[PlacementProblem, PlacementProblem | None]:
    return tables.problem(seen), tables.after_terminations(seen)


def _why_wait(plans: list[PlacementPlan], settings: Settings, batch: set[str], now: int) -> str:
    """Why no plan is made now, "" if one is."""
    if any(plan.phase in ACTING for plan in plans):
        return "a plan acts"
    for plan in plans:
        if plan.phase in WAITING and batch <= {one.uid for one in plan.spec.placements}:
            return "a plan for these pods waits"
    return Ledger(plans).frozen(now) if settings.mode is Mode.ENFORCE else ""


def _above(batch: list[Pod], plans: list[PlacementPlan]) -> list[Pod]:
    """Whom no plan may keep waiting: pods of a higher priority; all, if there is no plan."""
    live = [plan for plan in plans if plan.phase in ACTING or plan.phase in WAITING]
    most = max((plan.spec.priority for plan in live), default=None)
    return [pod for pod in batch if most is None or (pod.spec.priority or 0) > most]


def _cooling(plans: list[PlacementPlan], settings: Settings, now: int) -> set[str]:
    """UIDs of owners that were disturbed lately."""
    return {
        one.move.owner for one in Ledger(plans).all if now - one.at < settings.moves.owner_cooldown
    }


def _shy(plans: list[PlacementPlan], now: int) -> set[str]:
    """Pods ("namespace/name") whose eviction was refused lately."""
    return {
        match[1]
        for plan in plans
        if now - plan.status.since < SHY and (match := _REFUSED.match(plan.status.reason))
    }


def _is_known(plan: PlacementPlan, plans: list[PlacementPlan], mirror: Mirror) -> bool:
    """Whether a plan that was only recorded helps as many of these pods by as few moves still."""
    helped = {one.uid for one in plan.spec.placements}
    for old in plans:
        if old.phase is not Phase.RECORDED or len(old.spec.moves) > len(plan.spec.moves):
            continue
        pods = {move.uid: mirror.pod(move.uid) for move in old.spec.moves}
        if helped <= {one.uid for one in old.spec.placements} and all(
            pod is not None and pod.spec.node_name == move.source
            for move in old.spec.moves
            for pod in (pods[move.uid],)
        ):
            return True
    return False
