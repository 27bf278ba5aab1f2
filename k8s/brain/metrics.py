"""Metrics of the brain. No label holds anything that tenants control."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from optsched import __version__
from optsched.k8s.mirror import Mirror
from optsched.k8s.records import ENDED, MovePhase, Phase, PlacementPlan
from optsched.k8s.settings import Mode

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300)


class _OfMirror(Collector):
    """What the caches say of themselves, read when somebody asks."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror

    def collect(self) -> Iterator[Metric]:
        """The families."""
        age = GaugeMetricFamily(
            "optsched_cache_age_seconds", "Since the server last spoke.", labels=["resource"]
        )
        count = GaugeMetricFamily("optsched_cache_objects", "In the cache.", labels=["resource"])
        drift = GaugeMetricFamily(
            "optsched_cache_drift_objects",
            "In which the last audit found the cache wrong.",
            labels=["resource"],
        )
        restarts = GaugeMetricFamily(
            "optsched_watch_restarts", "Since the start.", labels=["resource", "reason"]
        )
        for one in self._mirror.reflectors.values():
            name = [one.resource.plural]
            if one.synced:
                age.add_metric(name, one.age())
            count.add_metric(name, len(one.store))
            drift.add_metric(name, one.drift)
            for reason, times in sorted(one.restarts.items()):
                restarts.add_metric([*name, reason], times)
        yield from (age, count, drift, restarts)


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self, mirror: Mirror, mode: Callable[[], Mode]) -> None:
        self.registry = CollectorRegistry()
        self._mode = mode
        ProcessCollector(registry=self.registry)
        self.registry.register(_OfMirror(mirror))
        self._plans = self._counter(
            "plans_total", "Plans by the phase in which they ended.", "result", "mode"
        )
        self._moves = self._counter("moves_total", "Moves by what became of them.", "result")
        self._evictions = self._counter(
            "evictions_total", "Evictions asked for, dry runs apart.", "code", "dry_run"
        )
        self._phases = self._histogram(
            "plan_phase_duration_seconds", "Time that plans spend in a phase.", "phase"
        )
        self._solves = self._histogram("solve_duration_seconds", "Of the solver.", "status")
        self.leader = Gauge(
            "optsched_leader", "1 while this replica may act.", registry=self.registry
        )
        self.pending = Gauge(
            "optsched_pending_pods", "Unschedulable pods that wait.", registry=self.registry
        )
        self.dropped = Gauge(
            "optsched_events_dropped", "Events that were not written.", registry=self.registry
        )
        info = Info("optsched_build", "The release.", registry=self.registry)
        info.info({"version": __version__})

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(f"optsched_{name}", told, labels, registry=self.registry)

    def _histogram(self, name: str, told: str, *labels: str) -> Histogram:
        return Histogram(f"optsched_{name}", told, labels, buckets=SECONDS, registry=self.registry)

    def phase(self, plan: PlacementPlan, left: Phase | None, spent: float) -> None:
        """A plan has come to another phase."""
        if left is not None:
            self._phases.labels(left.value).observe(spent)
        if plan.phase in ENDED:
            self._plans.labels(plan.phase.value, self._mode().value).inc()

    def move(self, phase: MovePhase) -> None:
        """A move has come to another phase."""
        self._moves.labels(phase.value).inc()

    def reply(self, name: str, status: int) -> None:
        """A write was answered."""
        if name in ("evict", "dry-run"):
            self._evictions.labels(str(status), str(name == "dry-run").lower()).inc()

    def solved(self, outcome: str, seconds: float) -> None:
        """A solve has ended."""
        self._solves.labels(outcome).observe(seconds)
