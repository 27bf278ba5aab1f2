"""What simulate and doctor print for programs about the service in a cluster."""

from __future__ import annotations

from optsched.k8s.records import Phase, PlanSpec, PlanStatus

from . import Document, Part


class Status(PlanStatus, frozen=True, kw_only=True):
    """The status of a PlacementPlan, its phase always written."""

    phase: Phase


class PlayedPlan(Part):
    """A plan: spec and status of its PlacementPlan."""

    name: str
    spec: PlanSpec
    status: Status


class PodEvent(Part):
    """An event on a pod, as `kubectl describe` shows it."""

    pod: str
    reason: str
    note: str


class SimulationDocument(Document, tag="optsched/simulation"):
    """What the service would do with a cluster; `seconds` are those of the cluster's clock.

    `assumed`: sentences about what the file, a snapshot, does not hold.
    """

    pending_before: list[str]
    pending_after: list[str]
    running_before: int
    running_after: int
    evictions: int
    budget_violations: list[str]
    seconds: float
    plans: list[PlayedPlan]
    events: list[PodEvent]
    assumed: list[str]


class FindingTold(Part):
    """One thing that was looked at: ok, note (works, with less) or wrong; `remedy` mends it."""

    verdict: str
    what: str
    remedy: str | None


class Examination(Document, tag="optsched/examination"):
    """What doctor found."""

    findings: list[FindingTold]
