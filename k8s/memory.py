"""What the front end remembers of its answers: who may be on the way to a locked node.

The guard only reads it; `note` writes after an answer is given. Nothing here is needed for safety
after a restart: what is forgotten makes the guard a little too generous towards strangers for a
moment, and never keeps anybody out.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from optsched.k8s.table import Room

if TYPE_CHECKING:
    from optsched.k8s.guard import Decision
    from optsched.k8s.wire import Pod

ATTEMPT = (
    500  # ms; calls closer together belong to one attempt of the scheduler, as it backs off 1 s
)
ASSUMED = 30_000  # ms that a pod counts on a node it was let onto, unless its fate is known earlier
IDLE = 600_000  # ms after which a pod is forgotten; a scheduler retries after 5 min at the latest
MOST = 5_000  # pods remembered in each of the tables below


@dataclass(slots=True)
class _Shown:
    """A pod that was let onto locked nodes."""

    nodes: tuple[str, ...]
    request: Room
    at: int


@dataclass(slots=True)
class _Stamp:
    """When something of a pod began, when it was last seen, and how often it has happened."""

    since: int
    last: int
    count: int = 1


@dataclass
class Memory:
    """Everything is kept per pod UID and forgotten after a while."""

    at_risk: set[str] = field(default_factory=set)
    released: set[str] = field(default_factory=set)
    _shown: dict[str, _Shown] = field(default_factory=dict)
    _on: dict[str, set[str]] = field(default_factory=dict)
    _missed: dict[str, _Stamp] = field(default_factory=dict)
    _starved: dict[str, _Stamp] = field(default_factory=dict)
    _claims: dict[str, tuple[str, int]] = field(default_factory=dict)
    _claimed: dict[str, str] = field(default_factory=dict)

    def attempt(self, uid: str, now: int) -> int:
        """Number of the attempt, from 1, if the pod's target is missing now."""
        seen = self._missed.get(uid)
        if seen is None:
            return 1
        return seen.count if now - seen.since < ATTEMPT else seen.count + 1

    def starved_for(self, uid: str, now: int) -> int:
        """Milliseconds since locks first left the pod without a node, 0 if they did not."""
        seen = self._starved.get(uid)
        return now - seen.since if seen is not None else 0

    def token_of(self, uid: str) -> str:
        """UID of the token that the pod has taken, "" for none."""
        return self._claims.get(uid, ("", 0))[0]

    def is_free(self, token: str, uid: str, now: int) -> bool:
        """Whether the pod may take the token: no other has, or not asked for long."""
        holder = self._claimed.get(token)
        if holder is None or holder == uid:
            return True
        return now - self._claims[holder][1] >= ASSUMED

    def taken(self, node: str, uid: str, now: int) -> Room:
        """What the other pods that may be on their way to the node ask for."""
        room: Room = {}
        for other in self._on.get(node, ()):
            shown = self._shown[other]
            if other != uid and now - shown.at < ASSUMED:
                for what, amount in shown.request.items():
                    room[what] = room.get(what, 0) + amount
        return room

    def begin(self) -> None:
        """Another plan is live: what was reported of the last one, and its misses, are over."""
        self.at_risk.clear()
        self.released.clear()
        self._missed.clear()

    def note(self, pod: Pod, decision: Decision, now: int) -> None:
        """Remember an answer."""
        uid = pod.uid
        self.at_risk.update(decision.at_risk)
        if decision.released:
            self.released.add(decision.released)
        self._forget_shown(uid)
        if decision.shown:
            self._shown[uid] = _Shown(decision.shown, pod.request, now)
            for node in decision.shown:
                self._on.setdefault(node, set()).add(uid)
            if len(self._shown) > MOST:
                self._forget_shown(next(iter(self._shown)))
        if decision.token:
            self._claim(uid, decision.token, now)
        if decision.missed:
            _note(self._missed, uid, now, decision.missed)
        if decision.starved:
            _note(self._starved, uid, now, 1)
        elif uid in self._starved:
            del self._starved[uid]

    def settle(self, uids: Collection[str]) -> None:
        """Forget pods whose fate is known."""
        for uid in uids:
            self._forget_shown(uid)
            self._missed.pop(uid, None)
            self._starved.pop(uid, None)
            self._unclaim(uid)

    def tidy(self, now: int) -> None:
        """Forget what is too old to matter."""
        for uid in [uid for uid, one in self._shown.items() if now - one.at >= ASSUMED]:
            self._forget_shown(uid)
        for stamps in (self._missed, self._starved):
            for uid in [uid for uid, one in stamps.items() if now - one.last >= IDLE]:
                del stamps[uid]
        for uid in [uid for uid, (_, last) in self._claims.items() if now - last >= IDLE]:
            self._unclaim(uid)

    def _claim(self, uid: str, token: str, now: int) -> None:
        if self.token_of(uid) != token:
            self._unclaim(uid)
        holder = self._claimed.get(token)
        if holder is not None and holder != uid:
            self._unclaim(holder)
        self._claims[uid] = (token, now)
        self._claimed[token] = uid
        if len(self._claims) > MOST:
            self._unclaim(next(iter(self._claims)))

    def _unclaim(self, uid: str) -> None:
        token, _ = self._claims.pop(uid, ("", 0))
        self._claimed.pop(token, None)

    def _forget_shown(self, uid: str) -> None:
        shown = self._shown.pop(uid, None)
        for node in shown.nodes if shown else ():
            there = self._on[node]
            there.discard(uid)
            if not there:
                del self._on[node]


def _note(stamps: dict[str, _Stamp], uid: str, now: int, count: int) -> None:
    seen = stamps.get(uid)
    if seen is None:
        stamps[uid] = _Stamp(now, now, count)
        if len(stamps) > MOST:
            del stamps[next(iter(stamps))]
        return
    seen.last = now
    if count > seen.count:
        seen.count, seen.since = count, now
