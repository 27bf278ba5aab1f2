"""Metrics of the front end. No label holds anything that tenants control."""

from __future__ import annotations

from collections import Counter as Tally

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.process_collector import ProcessCollector

from optsched import __version__
from optsched.k8s.extender.front import Front
from optsched.k8s.table import now_ms

MOST = 1000  # requests noted before they are counted
# What an answer takes, and what is around the 200 ms that a scheduler should wait at most.
FAST = (0.00005, 0.0001, 0.00015, 0.00025, 0.0005)
BUCKETS = (*FAST, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 5)


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self, front: Front) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._duration = Histogram(
            "optsched_extender_request_duration_seconds",
            "From a request's last byte, or its headers if it comes in pieces, to its answer.",
            ("verb", "outcome"),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self._decisions = Counter(
            "optsched_extender_decisions_total",
            "Answers by what was done: passthrough, steered, guarded, yielded or error.",
            ("verb", "result"),
            registry=self.registry,
        )
        self.held = Histogram(
            "optsched_guard_hold_seconds",
            "How long pods were left without any node by a plan.",
            buckets=(0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 300),
            registry=self.registry,
        )
        self.reloads = Counter(
            "optsched_extender_reloads_total",
            "Files that changed, by what and whether they are in force.",
            ("what", "result"),
            registry=self.registry,
        )
        self._gauges(front)
        Info("optsched_build", "The release.", registry=self.registry).info(
            {"version": __version__}
        )
        self._spent: list[tuple[str, str, float]] = []
        self._taken: list[tuple[str, str]] = []

    def _gauges(self, front: Front) -> None:
        for name, told, value in (
            ("guarded_nodes", "Nodes on which a plan keeps room.", lambda: len(front.view.locks)),
            ("plan_live", "1 while a plan is live.", lambda: bool(front.view.table.plan)),
            (
                "plan_table_age_seconds",
                "Age of the newest plan table; 0 while there is none.",
                lambda: max(0, now_ms() - (front.view.table.written or now_ms())) / 1000,
            ),
        ):
            Gauge(f"optsched_{name}", told, registry=self.registry).set_function(value)
        self.expiry = Gauge(
            "optsched_extender_certificate_expiry_timestamp_seconds",
            "End of the serving certificate; 0 without TLS.",
            registry=self.registry,
        )

    def observe(self, verb: str, outcome: str, seconds: float) -> None:
        """A request was answered, or refused."""
        self._spent.append((verb, outcome, seconds))
        if len(self._spent) >= MOST:
            self.settle()

    def decided(self, verb: str, result: str) -> None:
        """A decision was taken."""
        self._taken.append((verb, result))

    def settle(self) -> None:
        """Count what was noted; not done in a request, since it takes as long as an answer."""
        spent, self._spent = self._spent, []
        for verb, outcome, seconds in spent:
            self._duration.labels(verb, outcome).observe(seconds)
        taken, self._taken = self._taken, []
        for key, count in Tally(taken).items():
            self._decisions.labels(*key).inc(count)
