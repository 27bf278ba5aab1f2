"""The configuration of the service: `optsched.io/v1alpha1 OptschedConfiguration`.

Settings are grouped by what they concern; each says its unit and why its default is what it is.
How a file and the environment become settings is in `configuration`; the JSON schema is published
as `optsched/schema/configuration.json`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, field

from optsched.k8s.duration import Duration, at_least, lasts
from optsched.k8s.guard import Preempt, Rules

API_VERSION = "optsched.io/v1alpha1"
KIND = "OptschedConfiguration"

_NAMESPACE = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
_OBJECT = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$"

Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[int, Meta(ge=1)]
Natural = Annotated[int, Meta(ge=0)]
Name = Annotated[str, Meta(pattern=_NAMESPACE)]


class Mode(StrEnum):
    """What the service may do.

    OFF writes nothing at all; ADVISORY watches, plans and reports; DRYRUN goes through every step
    of a plan with dry-run evictions; ENFORCE acts.
    """

    OFF = "Off"
    ADVISORY = "Advisory"
    DRYRUN = "DryRun"
    ENFORCE = "Enforce"


class Deployment(StrEnum):
    """How the service reaches the scheduler.

    CONTROL_PLANE: as an extender of the cluster's own scheduler; SECOND_SCHEDULER: of a stock
    kube-scheduler with a name of its own; GATED: through scheduling gates, without an extender.
    """

    CONTROL_PLANE = "ControlPlane"
    SECOND_SCHEDULER = "SecondScheduler"
    GATED = "Gated"


class Profile(StrEnum):
    """DEFAULT is for clusters; BENCH takes away ages, graces, cooldowns and rates."""

    DEFAULT = "Default"
    BENCH = "Bench"


class Part(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A section; a key that is not listed is refused."""


class Listen(Part, frozen=True):
    """Where a port is opened."""

    address: str = "127.0.0.1"
    port: Port = 0


class Tls(Part, frozen=True):
    """Certificates of the verbs. All three files together make mutual TLS; changes are seen.

    `clientNames` are the common names that may ask; empty: all that `caFile` has signed.
    """

    cert_file: str = ""
    key_file: str = ""
    ca_file: str = ""
    client_names: tuple[str, ...] = ()

    @property
    def enabled(self) -> bool:
        """Whether the verbs are served over TLS."""
        return bool(self.cert_file)

    def __post_init__(self) -> None:
        given = [bool(self.cert_file), bool(self.key_file), bool(self.ca_file)]
        if any(given) and not all(given):
            raise ValueError("certFile, keyFile and caFile go together; give all three or none")
        if self.client_names and not self.ca_file:
            raise ValueError("clientNames needs caFile")


class Extender(Part, frozen=True):
    """The front end that the scheduler asks.

    `prefix` is the path of the scheduler's urlPrefix. A request must arrive whole within
    `bodyTimeout` and `maxBodyBytes` (whole nodes of a cluster that does not set nodeCacheCapable
    are large). `keepAlive` is longer than the 90 s of Go's clients, so that they hang up first.
    Without TLS only a loopback address is served.
    """

    address: str = "127.0.0.1"
    port: Port = 8443
    prefix: Annotated[str, Meta(pattern=r"^(/[-\w.]+)*$")] = ""
    tls: Tls = field(default_factory=Tls)
    max_body_bytes: Annotated[int, Meta(ge=1 << 16, le=1 << 28)] = 16 << 20
    body_timeout: Duration = lasts("2s")
    concurrency: Annotated[int, Meta(ge=1, le=4096)] = 64
    keep_alive: Duration = lasts("150s")

    def __post_init__(self) -> None:
        if not self.tls.enabled and not is_loopback(self.address):
            raise ValueError(
                f"address {self.address} is reachable from outside and needs tls; "
                "give its three files, or serve 127.0.0.1"
            )
        at_least("10ms", bodyTimeout=self.body_timeout)
        at_least("1s", keepAlive=self.keep_alive)


class Guard(Part, frozen=True):
    """How the room that a plan needs is kept.

    A pod that would have a node without the plan is let through after `maxHold`. No table of a plan
    holds longer than `maxLife`, whatever became of who wrote it. `preempt` says which preemptions
    are vetoed while a plan is live: on Locked nodes, All, or none (Off).
    """

    max_hold: Duration = lasts("30s")
    max_life: Duration = lasts("20m")
    preempt: Preempt = Preempt.LOCKED

    def rules(self) -> Rules:
        """For the guard."""
        return Rules(int(self.max_hold), int(self.max_life), self.preempt)


class Prioritize(Part, frozen=True):
    """Scores for nodes. Without a scorer all are equal, which neither helps nor harms.

    `scorer` names a function as module:attribute. It runs in a process of its own; when it has not
    answered within `budget`, all scores are equal.
    """

    scorer: Annotated[str, Meta(pattern=r"^$|^[\w.]+:\w+$")] = ""
    budget: Duration = lasts("20ms")


class Planner(Part, frozen=True):
    """When and how long to think.

    Unschedulable pods are gathered for `debounce`, at most `maxWait`. A pod is helped once it has
    waited for `pendingGrace`, in which an autoscaler or a finishing pod may solve the matter.
    The solver works for `timeLimit` with `workers` processes in at most `memoryBytes`. A plan that
    moves more than `movesPerPod` pods for each that it helps is left to an autoscaler.
    """

    debounce: Duration = lasts("200ms")
    max_wait: Duration = lasts("1s")
    pending_grace: Duration = lasts("5s")
    time_limit: Duration = lasts("10s")
    workers: Annotated[int, Meta(ge=1, le=256)] = 1
    memory_bytes: Annotated[int, Meta(ge=1 << 28)] = 2 << 30
    protect_higher: bool = True
    max_batch: Positive = 200
    moves_per_pod: Positive = 4

    def __post_init__(self) -> None:
        at_least("100ms", timeLimit=self.time_limit)


class Moves(Part, frozen=True):
    """What a plan may disturb. All of it holds on top of disruption budgets.

    `approval` Manual waits for a person. `nominate` Auto lets plans suggest nodes to the scheduler.
    Owners need `minReplicas`, pods `minAge`; an owner is left alone for `ownerCooldown` after a
    move. `ttl` ends a plan that makes no progress, grace periods come on top.
    """

    approval: Literal["Auto", "Manual"] = "Auto"
    nominate: Literal["Auto", "Off"] = "Auto"
    max_per_plan: Annotated[int, Meta(ge=1, le=1000)] = 8
    max_per_owner: Positive = 1
    max_per_node: Positive = 2
    max_per_namespace: Positive = 4
    evictions_per_minute: Positive = 10
    evictions_per_second: Positive = 1
    min_replicas: Positive = 2
    min_age: Duration = lasts("10m")
    owner_cooldown: Duration = lasts("30m")
    ttl: Duration = lasts("5m")
    max_cache_age: Duration = lasts("2s")
    storage_classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_per_node > self.max_per_plan or self.max_per_owner > self.max_per_plan:
            raise ValueError(
                f"maxPerNode and maxPerOwner cannot exceed maxPerPlan ({self.max_per_plan})"
            )
        if self.ttl < 10_000:
            raise ValueError(f"ttl {self.ttl} is too short for any plan; give 10s or more")
        at_least("100ms", maxCacheAge=self.max_cache_age)
        if self.max_cache_age > 2_000:
            raise ValueError(f"maxCacheAge {self.max_cache_age} is too long; give 2s or less")


class Namespaces(Part, frozen=True):
    """Whose pods may be helped or moved; pods elsewhere are seen and never touched.

    `helped` and `moved` empty: all. `never` wins.
    """

    helped: tuple[Name, ...] = ()
    moved: tuple[Name, ...] = ()
    never: tuple[Name, ...] = ("kube-system",)

    def __post_init__(self) -> None:
        for name in self.never:
            if name in self.helped or name in self.moved:
                raise ValueError(f"namespace {name} is in never, and in helped or moved")


class Client(Part, frozen=True):
    """How the API server is talked to. Empty `kubeconfig`: the pod's own service account."""

    kubeconfig: str = ""
    context: str = ""
    qps: Annotated[float, Meta(gt=0, le=1000)] = 20.0
    burst: Positive = 40
    page_size: Annotated[int, Meta(ge=10, le=5000)] = 500
    request_timeout: Duration = lasts("15s")

    def __post_init__(self) -> None:
        at_least("100ms", requestTimeout=self.request_timeout)


class Leader(Part, frozen=True):
    """The Lease by which one of several replicas acts.

    `beside` is the Lease, NAMESPACE/NAME, by which schedulers choose the one that schedules. Only a
    replica on that one's machine leads then, because its front end is the one that is asked.
    """

    lease_name: Name = "optsched"
    namespace: Annotated[str, Meta(pattern=r"^$|" + _NAMESPACE)] = ""
    beside: Annotated[str, Meta(pattern=r"^$|" + _OBJECT)] = ""
    duration: Duration = lasts("15s")
    renew_deadline: Duration = lasts("10s")
    retry_period: Duration = lasts("2s")

    def __post_init__(self) -> None:
        if not self.retry_period < self.renew_deadline < self.duration:
            raise ValueError(
                f"retryPeriod {self.retry_period}, renewDeadline {self.renew_deadline} and "
                f"duration {self.duration} must rise in this order"
            )
        at_least("50ms", retryPeriod=self.retry_period)
        at_least("1s", duration=self.duration)  # a Lease counts in whole seconds


class Brain(Part, frozen=True):
    """Ports of the planner and executor; they hold the mirror of the cluster and the Lease."""

    metrics: Listen = Listen(port=8082)
    health: Listen = Listen(port=8083)


class Logging(Part, frozen=True):
    """Log lines on standard error. Nothing that tenants control is ever in them."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Settings(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Everything. `runtime` is the folder in which the parts meet; put it into memory."""

    api_version: Literal["optsched.io/v1alpha1"] = API_VERSION  # type: ignore[assignment]
    kind: Literal["OptschedConfiguration"] = KIND  # type: ignore[assignment]
    mode: Mode = Mode.ADVISORY
    deployment: Deployment = Deployment.CONTROL_PLANE
    profile: Profile = Profile.DEFAULT
    scheduler_names: tuple[str, ...] = ("default-scheduler",)
    runtime: str = "/run/optsched"
    extender: Extender = field(default_factory=Extender)
    metrics: Listen = Listen(port=8080)
    health: Listen = Listen(port=8081)
    guard: Guard = field(default_factory=Guard)
    prioritize: Prioritize = field(default_factory=Prioritize)
    planner: Planner = field(default_factory=Planner)
    moves: Moves = field(default_factory=Moves)
    namespaces: Namespaces = field(default_factory=Namespaces)
    client: Client = field(default_factory=Client)
    leader: Leader = field(default_factory=Leader)
    brain: Brain = field(default_factory=Brain)
    logging: Logging = field(default_factory=Logging)

    @property
    def gating(self) -> bool:
        """Whether gated pods are ours to decide on."""
        return self.deployment is Deployment.GATED and self.mode is Mode.ENFORCE

    def __post_init__(self) -> None:
        if not self.scheduler_names:
            raise ValueError("schedulerNames is empty; name at least one scheduler")
        opened = (
            self.extender, self.metrics, self.health, self.brain.metrics, self.brain.health
        )  # fmt: skip
        ports = [one.port for one in opened if one.port]
        if len(set(ports)) < len(ports):
            raise ValueError(
                "extender, metrics, health, brain.metrics and brain.health need ports of their own"
            )
        if self.guard.max_life < self.moves.ttl:
            raise ValueError(
                f"guard.maxLife {self.guard.max_life} is shorter than moves.ttl {self.moves.ttl}"
            )


# What the bench profile takes away unless the configuration says otherwise itself.
BENCH: dict[str, dict[str, Any]] = {
    "planner": {"debounce": "20ms", "maxWait": "100ms", "pendingGrace": "0s", "movesPerPod": 1000},
    "moves": {
        "maxPerPlan": 1000,
        "maxPerOwner": 1000,
        "maxPerNode": 1000,
        "maxPerNamespace": 1000,
        "evictionsPerMinute": 100_000,
        "evictionsPerSecond": 1000,
        "minReplicas": 1,
        "minAge": "0s",
        "ownerCooldown": "0s",
    },
}

# Changing these takes a restart; everything else is taken over while running.
FIXED: Sequence[str] = (
    "deployment",
    "runtime",
    "extender.address",
    "extender.port",
    "extender.prefix",
    "extender.tls",
    "extender.bodyTimeout",
    "extender.keepAlive",
    "metrics",
    "health",
    "prioritize",
    "client",
    "leader",
    "brain",
    "logging.format",
)


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach the address."""
    return address in ("localhost", "::1") or address.startswith("127.")
