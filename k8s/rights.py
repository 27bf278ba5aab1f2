"""What this service account may do: asked of the API server, so that what is missing has a name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from optsched.k8s.api import Api, ApiError
from optsched.k8s.events import EVENTS
from optsched.k8s.leader import LEASES
from optsched.k8s.mirror import PODS, RESOURCES
from optsched.k8s.records import PLANS, SLOTS
from optsched.k8s.reflector import Resource
from optsched.kube.wire import Wire

REVIEWS = Resource(
    "SelfSubjectAccessReview", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"
)


@dataclass(frozen=True)
class Right:
    """A verb on a kind of object, or on a part of it."""

    verb: str
    resource: Resource
    sub: str = ""
    namespaced: bool = False  # only in the namespace of the Lease
    beside: bool = False  # only the Lease of the schedulers

    def __str__(self) -> str:
        what = f"{self.resource.plural}/{self.sub}" if self.sub else self.resource.plural
        whole = f"{self.verb} {what}" + (f".{self.resource.group}" if self.resource.group else "")
        return f"{whole} of the schedulers" if self.beside else whole


READS = tuple(Right(verb, one) for one in RESOURCES for verb in ("list", "watch"))
ADVISE = (
    *(Right(verb, PLANS) for verb in ("list", "create", "delete")),
    Right("update", PLANS, "status"),
    *(Right(verb, SLOTS) for verb in ("get", "create", "update")),
    *(Right(verb, LEASES, namespaced=True) for verb in ("get", "create", "update")),
    Right("create", EVENTS),
)
EVICT = Right("create", PODS, "eviction")
NOMINATE = Right("patch", PODS, "status")
WAKE = Right("patch", PODS)
ENFORCE = (EVICT,)
BESIDE = Right("get", LEASES, beside=True)
OPTIONAL = (NOMINATE, WAKE)


class _Answer(Wire):
    allowed: bool = False


class _Review(Wire):
    status: _Answer = msgspec.field(default_factory=_Answer)


_REVIEW = msgspec.json.Decoder(_Review)


@dataclass
class Rights:
    """Which rights are missing; nothing is known before `check`.

    Attributes
    ----------
    namespace, lease
        Of the Lease, and its name: a right to this one alone is enough.
    beside
        The Lease of the schedulers, NAMESPACE/NAME; "" if it is not looked at.
    """

    api: Api
    namespace: str
    lease: str
    beside: str = ""
    known: bool = False
    missing: frozenset[Right] = frozenset()
    _asked: dict[Right, bool] = field(default_factory=dict)

    async def check(self, allowed: Callable[[], bool] = lambda: True) -> None:
        """Ask about every right, as long as that is `allowed`: to the server it is a write.

        Raises
        ------
        ApiError
            The server cannot be asked.
        """
        beside = (BESIDE,) if self.beside else ()
        for right in (*READS, *ADVISE, *beside, *ENFORCE, *OPTIONAL):
            if not allowed():
                return
            self._asked[right] = await self._may(right)
        self.missing = frozenset(right for right, may in self._asked.items() if not may)
        self.known = True

    async def _may(self, right: Right) -> bool:
        namespace, name = "", ""
        if right.beside:
            namespace, _, name = self.beside.partition("/")
        elif right.namespaced:
            namespace, name = self.namespace, self.lease if right.verb != "create" else ""
        attributes = {
            "verb": right.verb,
            "group": right.resource.group,
            "resource": right.resource.plural,
            "subresource": right.sub,
            "namespace": namespace,
            "name": name,
        }
        body = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": REVIEWS.kind,
            "spec": {"resourceAttributes": attributes},
        }
        try:
            reply = await self.api.request("POST", REVIEWS.path, body)
        except ApiError as error:
            if error.status in (403, 404):
                return True  # the server does not tell; the verb itself will
            raise
        return _REVIEW.decode(reply).status.allowed

    def lacks(self, right: Right) -> bool:
        """Whether this right is known to be missing."""
        return right in self.missing

    def lacking(self, rights: tuple[Right, ...]) -> list[str]:
        """Which of these are missing, in words."""
        return [str(right) for right in rights if right in self.missing]
