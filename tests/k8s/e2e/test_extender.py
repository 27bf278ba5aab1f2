"""A real scheduler with our front end, alive, dead, hung, and with a plan."""

from __future__ import annotations

import os
import signal

import pytest

from optsched.k8s.table import Lock, Member, PlanTable, now_ms
from tests.controlplane.api import bound, is_refused, until
from tests.controlplane.beside import Beside

from .conftest import Place


@pytest.fixture
def beside(place: Place) -> Beside:
    """The front end, over mutual TLS, asked by the scheduler."""
    beside = place.serve("extender")
    place.extend(beside.extender())
    return beside


def table(**parts: object) -> PlanTable:
    """A plan that is live for five minutes."""
    return PlanTable(plan="p", expires=now_ms() + 300_000, priority=5, **parts)  # type: ignore[arg-type]


def refused(place: Place, name: str) -> bool:
    """Whether the scheduler has found no node for a pod."""
    return is_refused(place.api.ask("GET", f"/api/v1/namespaces/{place.namespace}/pods/{name}"))


def ungate(place: Place, name: str) -> None:
    """Let the scheduler see a pod."""
    path = f"/api/v1/namespaces/{place.namespace}/pods/{name}"
    place.api.patch(path, {"spec": {"schedulingGates": None}})


def decided(place: Place, count: int) -> list[str]:
    """Wait until so many pods are placed or refused; their nodes, "" for none."""

    def done() -> list[str] | None:
        pods = place.api.pods(place.namespace)
        over = len(pods) == count and all(bound(pod) or is_refused(pod) for pod in pods)
        return [bound(pod) for pod in pods] if over else None

    homes: list[str] = until(done, f"{count} pods that are placed or refused")
    return homes


def test_without_a_plan_pods_go_where_they_would(place: Place) -> None:
    """As many per node, as many refused, and those of higher priority preempt as ever."""
    nodes = [place.node() for _ in range(4)]
    taint = {"spec": {"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]}}
    place.api.patch(f"/api/v1/nodes/{nodes[3]}", taint)

    def run() -> list[int]:
        place.api.replica_set(place.namespace, "small", "900m", 10)
        homes = decided(place, 10)
        counts = [homes.count(name) for name in (*nodes, "")]
        place.api.pod(place.namespace, "large", "1500m", priorityClassName="system-node-critical")
        until(lambda: place.homes()["large"], "a pod that preempts")
        place.api.empty(place.namespace)
        return counts

    alone = run()
    beside = place.serve("extender")
    place.extend(beside.extender())
    assert run() == alone == [2, 2, 2, 0, 4]
    assert beside.asked("filter") >= 7
    assert beside.asked("preempt") >= 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["dead", "hung"])
def test_nobody_waits_for_a_front_end_that_is_gone(
    place: Place, beside: Beside, how: signal.Signals
) -> None:
    """Every pod is placed, though there is a plan that nobody reads any more."""
    place.node("8")
    until(lambda: beside.front(), "a front end")
    os.kill(beside.process.pid, signal.SIGSTOP)  # or it would start another one
    os.kill(beside.front(), how)
    try:
        place.api.replica_set(place.namespace, "small", "100m", 20)
        place.settled(20)
    finally:
        os.kill(beside.process.pid, signal.SIGCONT)
        if how == signal.SIGSTOP:
            os.kill(beside.front(), signal.SIGCONT)


def test_a_plan_leads_a_pod_to_its_node(place: Place, beside: Beside) -> None:
    """One of eight nodes that are all the same, and others are kept off it."""
    nodes = [place.node() for _ in range(8)]
    target = nodes[5]
    gate = [{"name": "optsched.io/test"}]
    uids = {}
    for name in ("first", "second"):
        pod = place.api.pod(place.namespace, name, "1500m", schedulingGates=gate)
        uids[name] = pod["metadata"]["uid"]
    end = now_ms() + 300_000
    room = {"cpu": 2000, "memory": 8 << 30, "pods": 110}
    reserved = {"cpu": 1500, "memory": 16 << 20, "pods": 1}
    published = beside.board.publish(
        table(
            members={uids["first"]: Member(target, end)},
            locks={target: Lock(end, room, reserved)},
        )
    )
    assert beside.board.wait(published, 10)
    place.api.replica_set(place.namespace, "strangers", "900m", 14)
    homes = place.settled(14, "strangers")
    assert target not in homes.values()
    ungate(place, "second")
    until(lambda: refused(place, "second"), "no room for a stranger")
    ungate(place, "first")
    until(lambda: place.homes()["first"] == target, "the planned node")
    assert not place.homes()["second"]


def test_only_the_scheduler_is_answered(place: Place, beside: Beside) -> None:
    """With a certificate of another name it goes on without us."""
    cert, key = place.plane.authority.sign("somebody", "somebody")
    place.extend(
        beside.extender(
            tlsConfig={
                "certFile": str(cert),
                "keyFile": str(key),
                "caFile": str(place.plane.authority.cert),
            }
        )
    )
    before = beside.asked("filter")
    place.node()
    place.api.pod(place.namespace, "one", "100m")
    place.settled(1)
    assert beside.asked("filter") == before
