"""Who waits for help: pods that the scheduler could not place, gathered before anybody thinks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from optsched.k8s import gates
from optsched.k8s.mirror import Mirror
from optsched.k8s.settings import Settings
from optsched.kube.podspec import Pod

BACKOFF = (2.0, 300.0)  # seconds after a first and after late attempts that did not help
HOPE = 15.0  # seconds after an attempt, if the cluster offers something new meanwhile


def is_unschedulable(pod: Pod) -> bool:
    """Whether the scheduler has said that it finds no node."""
    return any(
        one.type == "PodScheduled" and one.status == "False" and one.reason == "Unschedulable"
        for one in pod.status.conditions or ()
    )


def why_not(pod: Pod, mirror: Mirror, settings: Settings) -> str:
    """Why an unschedulable pod is not to be helped, "" if it is."""
    namespace, names = pod.metadata.namespace, settings.namespaces
    if pod.spec.scheduler_name not in settings.scheduler_names:
        return "it is left to another scheduler"
    if namespace in names.never or (names.helped and namespace not in names.helped):
        return "pods of its namespace are not helped"
    if mirror.is_paused(pod):
        return "it is paused"
    if namespace in mirror.paused_namespaces():
        return "its namespace is paused"
    if pod.status.nominated_node_name:
        return "preemption is making room for it"
    return ""


def _is_refused(pod: Pod) -> bool:
    return is_unschedulable(pod) and not pod.spec.scheduling_gates


@dataclass
class _Waiter:
    """One pod, and how often it was tried in vain."""

    since: float
    tries: int = 0
    again: float = 0.0
    last: float = 0.0


@dataclass
class Waiting:
    """The pods that wait; times are monotonic seconds.

    A pod is ripe when it has waited for the grace and its backoff is over; one that our gate holds
    needs no grace, because nobody else can help it meanwhile. The batch is handed out
    when no pod has become ripe for `debounce`, or the first has been ripe for `max_wait`.
    """

    _pods: dict[str, _Waiter] = field(default_factory=dict)
    _ripe: frozenset[str] = frozenset()
    _first: float = 0.0
    _last: float = 0.0
    _offer: tuple[int, int] = (0, 0)

    def look(self, mirror: Mirror, settings: Settings, now: float) -> list[Pod]:
        """Take note of who waits now; the ripe ones, the most important first."""
        pods = [
            pod
            for pod in mirror.pending()
            if not pod.metadata.deletion_timestamp
            and (_is_refused(pod) or (settings.gating and gates.is_held(pod)))
            and not why_not(pod, mirror, settings)
        ]
        uids = {pod.metadata.uid for pod in pods}
        held = {pod.metadata.uid for pod in pods if pod.spec.scheduling_gates}
        self._pods = {uid: one for uid, one in self._pods.items() if uid in uids}
        for uid in uids:
            self._pods.setdefault(uid, _Waiter(now))
        if self._pods:
            self._hope(offer(mirror))
        grace = settings.planner.pending_grace.seconds
        ripe = [
            pod
            for pod in pods
            if (uid := pod.metadata.uid) and self._is_ripe(uid, 0.0 if uid in held else grace, now)
        ]
        self._note(frozenset(pod.metadata.uid for pod in ripe), now)
        ripe.sort(key=lambda pod: -(pod.spec.priority or 0))  # stable: the oldest first
        return ripe[: settings.planner.max_batch]

    def _is_ripe(self, uid: str, grace: float, now: float) -> bool:
        one = self._pods[uid]
        return now >= max(one.since + grace, one.again)

    def _note(self, ripe: frozenset[str], now: float) -> None:
        if ripe and not self._ripe:
            self._first = now
        if ripe - self._ripe:
            self._last = now
        self._ripe = ripe

    def delay(self, settings: Settings, now: float) -> float:
        """Seconds until the batch is to be handed out; 0: now. Call `look` first."""
        planner = settings.planner
        quiet = self._last + planner.debounce.seconds
        return max(0.0, min(quiet, self._first + planner.max_wait.seconds) - now)

    def next_ripe(self, settings: Settings, now: float) -> float:
        """Seconds until somebody who is not ripe may be; infinite if nobody waits."""
        grace = settings.planner.pending_grace.seconds
        times = [max(one.since + grace, one.again) for one in self._pods.values()]
        return min((at - now for at in times if at > now), default=float("inf"))

    def tried(self, uids: Iterable[str], now: float) -> None:
        """These could not be helped: let some time pass, longer after every attempt."""
        for uid in uids:
            one = self._pods.get(uid)
            if one is not None:
                one.tries, one.last = one.tries + 1, now
                one.again = now + min(BACKOFF[1], BACKOFF[0] * 2 ** (one.tries - 1))

    def _hope(self, offered: tuple[int, int]) -> None:
        """Shorten long pauses when there is something that was not there before."""
        better = any(now > before for now, before in zip(offered, self._offer, strict=True))
        self._offer = offered
        for one in self._pods.values() if better else ():
            one.again = min(one.again, one.last + HOPE)

    def encourage(self) -> None:
        """Something has changed for the better: everybody may be tried at once."""
        for one in self._pods.values():
            one.tries, one.again = 0, 0.0

    def tries(self) -> int:
        """How many attempts were made in vain for those who wait now."""
        return sum(one.tries for one in self._pods.values())

    def __len__(self) -> int:
        return len(self._pods)


def offer(mirror: Mirror) -> tuple[int, int]:
    """What plans can count on: open nodes, and pods that are free to be disrupted.

    Every pod is free unless a budget forbids it, so budgets that forbid count against.
    """
    nodes = sum(not node.spec.unschedulable for node in mirror.nodes())
    budgets = mirror.reflectors["PodDisruptionBudget"].values()
    closed = sum(one.value.status.disruptions_allowed < 1 for one in budgets)
    return nodes, -closed
