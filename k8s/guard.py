"""The guard: which nodes a pod may see while a plan is carried out. Pure, and fails open.

Every answer depends on the request, the plan table, what was answered before (`Memory`) and the
clock, and asking twice gives the same answer: the scheduler may ask for a pod several times in one
attempt, and again in simulations. The rules, first match first:

1. No plan is live, or the pod's namespace is exempt: all nodes.
2. A member of the plan, or a replacement of a pod that the plan moved, sees its target only; none
   while the target is not free for it yet. If the scheduler does not offer the target, a few
   attempts are waited out; then the pod is released and is like any other.
3. Beneficiaries wait until the pods that were moved for them are placed (`Member.open`), so that
   a plan can be undone until then.
4. Any other pod may not see a locked node unless it fits beside what the plan needs there and
   beside the pods that were let on before and are not bound yet. It may if its priority is higher
   than the plan's, or if it has had no node for longer than `Rules.max_hold` though it would have
   one without the plan: the plan is then at risk, and the brain is told. Room that the plan itself
   has made is the plan's as long as that lasts: who is kept from it is no worse off.

Whatever is rejected goes into FailedAndUnresolvableNodes: of FailedNodes the scheduler's preemption
would make candidates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import filterfalse
from typing import Any

from optsched.k8s.memory import Memory
from optsched.k8s.table import EMPTY, SKEW, Lock, Member, PlanTable, Room, Token
from optsched.k8s.wire import Pod

# Short, because a reply may hold thousands of them.
KEPT = "optsched: kept for a plan"
ELSEWHERE = "optsched: planned elsewhere"
CLOSED = "optsched: waiting until pods that were moved for this one are placed"
ABSENT = "optsched: waiting for the planned node {node}"

CACHED_REQUESTS = 256  # different requests per table whose blocked nodes are kept


class Result(StrEnum):
    """What was done with a request, for the metrics."""

    PASSTHROUGH = "passthrough"
    STEERED = "steered"
    GUARDED = "guarded"
    YIELDED = "yielded"


class Preempt(StrEnum):
    """Which preemptions are vetoed while a plan is live.

    LOCKED: those of pods that have a place in the plan, and of others on locked nodes; ALL: every
    one by a pod of at most the plan's priority; OFF: none.
    """

    LOCKED = "Locked"
    ALL = "All"
    OFF = "Off"


@dataclass(frozen=True)
class Rules:
    """How patient the guard is; milliseconds.

    Attributes
    ----------
    max_hold
        How long locks may leave a pod without any node that would have one without the plan.
    max_life
        How long any table may hold, whatever it says itself.
    preempt
        What is vetoed.
    """

    max_hold: int = 30_000
    max_life: int = 900_000
    preempt: Preempt = Preempt.LOCKED


@dataclass(frozen=True, slots=True)
class Decision:
    """An answer, and what is to be remembered of it.

    Attributes
    ----------
    kept
        Nodes the pod may see, in the order asked; None: all.
    rejected
        Why not, per other node.
    missed
        Number of this attempt in which the target was not offered; 0: it was, or there is none.
    token
        UID of the token the pod takes; "" for none.
    shown
        Locked nodes the pod may go to without being the plan's.
    at_risk
        Those of them for which it takes room that the plan needs.
    starved
        Whether locks leave it without a node.
    released
        UID of the member or token that is given up; "" for none.
    """

    result: Result = Result.PASSTHROUGH
    kept: list[str] | None = None
    rejected: Mapping[str, str] = field(default_factory=dict)
    missed: int = 0
    token: str = ""
    shown: tuple[str, ...] = ()
    at_risk: tuple[str, ...] = ()
    starved: bool = False
    released: str = ""


class View:
    """A plan table prepared for questions, as it holds from one moment until `until`."""

    def __init__(self, table: PlanTable, now: int) -> None:
        live = table.plan and now < table.expires
        if not live:
            table = EMPTY
        self.table = table
        self.locks = {name: one for name, one in table.locks.items() if now < one.deadline}
        self.until = min((one.deadline for one in self.locks.values()), default=table.expires)
        self.until = min(self.until, table.expires) if live else 1 << 62
        self.tokens: dict[tuple[str, str], list[Token]] = {}
        for token in table.tokens:
            self.tokens.setdefault((token.namespace, token.owner), []).append(token)
        self.spare = {
            name: {
                what: one.free.get(what, 0) - one.reserved.get(what, 0)
                for what in one.free.keys() | one.reserved.keys()
            }
            for name, one in self.locks.items()
        }
        self._split: dict[tuple[tuple[str, int], ...], tuple[frozenset[str], frozenset[str]]] = {}

    def split(self, request: Room) -> tuple[frozenset[str], frozenset[str]]:
        """The locked nodes that a request does not fit, and those that it does.

        Pods that may be on the way there are not looked at. Pods of one owner ask for the same, so
        the answer is kept.
        """
        key = tuple(request.items())
        found = self._split.get(key)
        if found is None:
            if len(self._split) >= CACHED_REQUESTS:
                self._split.clear()
            blocked = frozenset(
                name
                for name, spare in self.spare.items()
                if self.locks[name].closed or not fits(request, spare)
            )
            found = self._split[key] = blocked, frozenset(self.locks.keys() - blocked)
        return found


def fits(request: Room, spare: Room, taken: Room | None = None) -> bool:
    """Whether `spare` less `taken` is enough; what `spare` does not name is not our concern."""
    for what, amount in request.items():
        if amount > 0 and what in spare:
            room = spare[what] - (taken.get(what, 0) if taken else 0)
            if amount > room:
                return False
    return True


def decide(
    view: View, memory: Memory, pod: Pod, names: list[str], now: int, rules: Rules
) -> Decision:
    """Which of the nodes `names` the pod may see.

    Raises
    ------
    FormatError
        The pod's requests cannot be read; answer as if no plan were live.
    """
    table = view.table
    if not table.plan:
        return Decision()
    if pod.metadata.namespace in table.exempt:
        return _let(view, pod, names)
    wish = _wish(view, memory, pod, names, now)
    if wish is None:
        return _guarded(view, memory, pod, names, now, rules)
    uid, token, target = wish
    if now < target.deadline:
        if not target.open:
            return _turned_away(names, CLOSED, token)
        others = dict.fromkeys(names, ELSEWHERE)
        if others.pop(target.node, ""):
            return Decision(Result.STEERED, [target.node], others, token=token)
        missed = memory.attempt(pod.uid, now)
        if missed <= target.attempts:
            return _turned_away(names, ABSENT.format(node=target.node), token, missed)
    guarded = _guarded(view, memory, pod, names, now, rules, own=target.node)
    return replace(guarded, token=token, released=uid)


def veto(
    view: View, memory: Memory, pod: Pod, victims: Mapping[str, Any], now: int, rules: Rules
) -> Decision:
    """Which of the candidates for preemption, `victims` per node, may stay candidates."""
    table, names = view.table, list(victims)
    if not table.plan or rules.preempt is Preempt.OFF or pod.priority > table.priority:
        return Decision()
    if pod.metadata.namespace in table.exempt:
        return Decision()
    wish = _wish(view, memory, pod, names, now)
    if rules.preempt is Preempt.ALL or (wish is not None and now < wish[2].deadline):
        return Decision(Result.STEERED, [], dict.fromkeys(names, ELSEWHERE))
    rejected = {name: KEPT for name in names if name in view.locks}
    return _or_yield(memory, pod, names, rejected, (), now, rules)


def _wish(
    view: View, memory: Memory, pod: Pod, names: Iterable[str], now: int
) -> tuple[str, str, Member] | None:
    """What the plan has for the pod: UID of member or token, UID of the token, target."""
    member = view.table.members.get(pod.uid)
    if member is not None:
        return pod.uid, "", member
    tokens = view.tokens.get((pod.metadata.namespace, pod.owner)) if pod.owner else None
    if not tokens:
        return None
    held = memory.token_of(pod.uid)
    mine = [one for one in tokens if one.uid == held]
    free = [
        one
        for one in tokens
        if now < one.deadline and memory.is_free(one.uid, pod.uid, now) and _suits(one, pod)
    ]
    offered = [one for one in free if one.node in names]
    for one in (*mine, *offered, *free):
        return one.uid, one.uid, Member(one.node, one.deadline, one.attempts)
    return None


def _suits(token: Token, pod: Pod) -> bool:
    return (
        pod.created >= token.issued // 1000 - SKEW
        and token.hash == pod.hash
        and token.name in ("", pod.metadata.name)
        and token.index in ("", pod.index)
        and pod.uid not in token.known
    )


def _turned_away(names: list[str], why: str, token: str, missed: int = 0) -> Decision:
    return Decision(Result.STEERED, [], dict.fromkeys(names, why), token=token, missed=missed)


def _let(view: View, pod: Pod, names: list[str]) -> Decision:
    """All nodes; the locked ones among them are noted."""
    shown = tuple(filter(view.locks.__contains__, names))
    blocked = view.split(pod.request)[0] if shown else frozenset()
    return Decision(shown=shown, at_risk=tuple(filter(blocked.__contains__, shown)))


def _guarded(
    view: View,
    memory: Memory,
    pod: Pod,
    names: list[str],
    now: int,
    rules: Rules,
    own: str = "",
) -> Decision:
    """Rule 4; `own` is a target that was the pod's and has its room reserved still."""
    if not view.locks or view.locks.keys().isdisjoint(names):
        return Decision()
    if pod.priority > view.table.priority:
        return _let(view, pod, names)
    blocked, roomy = view.split(pod.request)
    rejected = dict.fromkeys(filter(blocked.__contains__, names), KEPT)
    shown = []
    for name in filter(roomy.__contains__, names) if roomy else ():
        if _beside_others(view, memory, pod, name, now):
            shown.append(name)
        else:
            rejected[name] = KEPT
    rejected.pop(own, None)
    shown = [name for name in shown if name != own]
    made: set[str] = set()
    if len(rejected) == len(names):
        made = {name for name in names if _is_made_for_plan(view.locks[name], pod)}
    return _or_yield(memory, pod, names, rejected, tuple(shown), now, rules, made)


def _is_made_for_plan(lock: Lock, pod: Pod) -> bool:
    """Whether the pod fits there only because the plan has moved others away.

    The scheduler sees them go before the brain says so. Where it sees still more room, others have
    gone of whom the table does not know.
    """
    if not lock.most:
        return False
    return fits(pod.request, lock.most) and not fits(pod.request, lock.without)


def _beside_others(view: View, memory: Memory, pod: Pod, name: str, now: int) -> bool:
    """Whether the pod fits beside those that may be on their way to the node."""
    taken = memory.taken(name, pod.uid, now)
    return not taken or fits(pod.request, view.spare[name], taken)


def _or_yield(
    memory: Memory,
    pod: Pod,
    names: list[str],
    rejected: dict[str, str],
    shown: tuple[str, ...],
    now: int,
    rules: Rules,
    made: Collection[str] = (),
) -> Decision:
    """The answer; a pod that waited for long without a node sees all but those in `made`."""
    if not rejected:
        return Decision(shown=shown)
    if len(rejected) < len(names):
        kept = list(filterfalse(rejected.__contains__, names))
        return Decision(Result.GUARDED, kept, rejected, shown=shown)
    owed = tuple(name for name in names if name not in made) if made else tuple(rejected)
    if not owed or memory.starved_for(pod.uid, now) < rules.max_hold:
        return Decision(Result.GUARDED, [], rejected, starved=bool(owed))
    rest = {name: rejected[name] for name in made}
    seen = list(owed) if made else None
    return Decision(Result.YIELDED, seen, rest, shown=owed, at_risk=owed, starved=True)
