"""The front end as a process: what a scheduler and a probe get, with a plan and without."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from optsched.k8s.table import NS, Member, now_ms

from .conftest import FrontEnd, pod, recorded, until
from .front_tables import NODES, ask, full, table


def test_recorded_requests_pass_without_a_plan(
    front_end: FrontEnd, data_path: Callable[[str], Path]
) -> None:
    """Every request that a real scheduler sent gets back all that it asked about."""
    front_end.board.clear()
    client = front_end.client()
    for request in recorded(data_path, "filter"):
        reply = client.post("filter", request)
        assert reply.get("NodeNames") == request["NodeNames"]
        if request["NodeNames"] is None:
            assert reply["Nodes"]["items"] == request["Nodes"]["items"]
        assert not reply["FailedNodes"]
        assert not reply["FailedAndUnresolvableNodes"]
    for request in recorded(data_path, "prioritize"):
        names = request["NodeNames"] or [n["metadata"]["name"] for n in request["Nodes"]["items"]]
        reply = client.post("prioritize", request)
        assert reply == [{"Host": name, "Score": 0} for name in names]
    for request in recorded(data_path, "preempt"):
        asked = request["NodeNameToMetaVictims"] or request["NodeNameToVictims"]
        reply = client.post("preempt", request)["NodeNameToMetaVictims"]
        assert set(reply) == set(asked)
        for node, victims in asked.items():
            uids = [one.get("UID") or one["metadata"]["uid"] for one in victims["Pods"]]
            assert [one["UID"] for one in reply[node]["Pods"]] == uids


def test_recorded_requests_are_steered(
    front_end: FrontEnd, data_path: Callable[[str], Path]
) -> None:
    """A recorded pod of a plan goes to its node alone, by name or whole."""
    client = front_end.client()
    for request in recorded(data_path, "filter"):
        names = request["NodeNames"] or [n["metadata"]["name"] for n in request["Nodes"]["items"]]
        target = names[-1]
        member = Member(target, now_ms() + 60_000)
        front_end.board.publish(table(members={request["Pod"]["metadata"]["uid"]: member}))
        reply = client.post("filter", request)
        if request["NodeNames"] is None:
            assert [node["metadata"]["name"] for node in reply["Nodes"]["items"]] == [target]
            assert reply["Nodes"]["items"][0] == request["Nodes"]["items"][-1]
        else:
            assert reply["NodeNames"] == [target]
        assert set(reply["FailedAndUnresolvableNodes"]) == set(names) - {target}


def test_the_next_request_sees_a_new_table(front_end: FrontEnd) -> None:
    """As soon as publish returns nobody is answered from the old table."""
    client = front_end.client()
    for number in range(100):
        target = NODES[number % 4]
        member = Member(target, now_ms() + 60_000)
        front_end.board.publish(table(members={"m": member}))
        assert ask(client, pod("m")) == [target]
        front_end.board.clear()
        assert ask(client, pod("m")) == NODES


def test_tables_are_acknowledged(front_end: FrontEnd) -> None:
    """Without any request, with what is at risk, and again and again."""
    published = front_end.board.publish(table(locks={"n1": full()}))
    assert front_end.board.wait(published, 60)
    assert ask(front_end.client(), pod("vip", priority=6)) == NODES
    ack = until(lambda: (a := front_end.board.ack()) and a.at_risk and a)
    assert ack.at_risk == ("n1",)
    assert ack.process == front_end.process.pid
    until(lambda: (a := front_end.board.ack()) and a.at > ack.at)
    front_end.board.publish(table(plan="q", locks={"n1": full()}))
    until(lambda: (a := front_end.board.ack()) and a.plan == "q" and not a.at_risk)


def test_locked_nodes_are_kept(front_end: FrontEnd) -> None:
    """Strangers keep off, and the reasons say why."""
    front_end.board.publish(table(locks={"n1": full(), "n3": full()}))
    client = front_end.client()
    assert ask(client, pod()) == ["n0", "n2"]
    reply = client.post("filter", {"pod": pod(), "nodenames": ["n1"]})
    assert reply["NodeNames"] == []
    assert "plan" in reply["FailedAndUnresolvableNodes"]["n1"]


def test_preemption_is_vetoed_where_the_plan_is(front_end: FrontEnd) -> None:
    """Only candidates come back, with their victims, and none that the plan has locked."""
    client = front_end.client()
    victims = {n: {"Pods": [{"UID": f"v-{n}"}], "NumPDBViolations": 0} for n in NODES}
    request = {"Pod": pod(), "NodeNameToVictims": None, "NodeNameToMetaVictims": victims}
    front_end.board.publish(table(members={"m": Member("n9", now_ms() + 60_000)}))
    assert client.post("preempt", request) == {"NodeNameToMetaVictims": victims}
    front_end.board.publish(table(locks={"n1": full()}))
    left = client.post("preempt", request)["NodeNameToMetaVictims"]
    assert left == {n: victims[n] for n in ("n0", "n2", "n3")}
    front_end.board.publish(table(members={"stranger": Member("n9", now_ms() + 60_000)}))
    assert client.post("preempt", request) == {"NodeNameToMetaVictims": {}}


def test_a_plan_ends_by_itself(front_end: FrontEnd) -> None:
    """A brain that died keeps nobody out longer than it said."""
    client = front_end.client()
    front_end.board.publish(table(locks={"n1": full()}, expires=now_ms() + 4000))
    assert ask(client, pod()) == ["n0", "n2", "n3"]
    until(lambda: ask(client, pod()) == NODES)


def test_a_broken_table_leaves_the_last_one(front_end: FrontEnd) -> None:
    """Until it ends; then everything passes. The probe says what is wrong."""
    client, health = front_end.client(), front_end.client("health")
    front_end.board.publish(table(locks={"n1": full()}, expires=now_ms() + 4000))
    assert ask(client, pod()) == ["n0", "n2", "n3"]
    path = front_end.board.folder / "table"
    path.write_bytes(path.read_bytes()[:-4])
    until(lambda: "[!] table: the plan table cannot be read" in health.get("/readyz?verbose")[1])
    assert health.get("/readyz")[0] == 200
    until(lambda: ask(client, pod()) == NODES)
    front_end.board.publish(table(locks={"n1": full()}))
    assert ask(client, pod()) == ["n0", "n2", "n3"]


def test_unreadable_requests_of_pods_pass(front_end: FrontEnd) -> None:
    """A quantity that is none cannot be compared, so nothing is kept from the pod."""
    front_end.board.publish(table(locks={"n1": full()}))
    assert ask(front_end.client(), pod(cpu="much")) == NODES


def test_probes(front_end: FrontEnd) -> None:
    """Alive, ready without a brain, and of a version."""
    health = front_end.client("health")
    assert health.get("/livez") == (200, "ok\n")
    assert health.get("/readyz") == (200, "ready\n")
    status, text = health.get("/readyz?verbose")
    assert status == 200
    assert "[+] configuration: in force" in text
    assert json.loads(health.get("/version")[1])["version"]
    assert health.get("/elsewhere")[0] == 404


def test_metrics_count_and_tell_nothing_of_tenants(front_end: FrontEnd) -> None:
    """Verbs, outcomes and results are there; names, namespaces and UIDs are not, nor in the log."""
    front_end.board.publish(table(locks={"n1": full()}))
    client = front_end.client()
    who = pod("secret-uid", name="secret-name", labels={"app": "secret-label"})
    who["metadata"]["namespace"] = "secret-namespace"
    ask(client, who)
    client.ask("POST", "/filter", {"Pod": {**who, "spec": "secret-spec"}, "NodeNames": ["n"]})
    client.ask("POST", "/secret-path", b"secret-body", {"secret-header": "secret"})
    text = front_end.client("metrics").get("/metrics")[1]
    assert 'optsched_extender_decisions_total{result="guarded",verb="filter"}' in text
    assert 'outcome="malformed",verb="filter"' in text
    assert 'outcome="refused",verb="other"' in text
    assert "optsched_guarded_nodes 1.0" in text
    assert "secret" not in text
    assert "secret" not in front_end.log.read_text()


def test_the_clock_cannot_be_set_back(front_end: FrontEnd) -> None:
    """A table from the future holds as long as its writer meant, not until our clock is there."""
    ahead = now_ms() + 3_600_000
    lock = msgspec.structs.replace(full(), deadline=ahead + 60_000)
    path = front_end.board.folder / "table"
    published = front_end.board.publish(
        table(locks={"n1": lock}, expires=ahead + 3000, members={"m": Member("n2", ahead + 60_000)})
    )
    data = msgspec.msgpack.encode(
        msgspec.structs.replace(published, written=ahead, generation=published.generation + 1)
    )
    part = path.with_suffix(".new")
    part.write_bytes(data)
    modified = (
        published.generation + 1
    ) * NS  # as `Board.publish` does: it is what the reader looks at
    os.utime(part, ns=(modified, modified))
    part.rename(path)
    client = front_end.client()
    assert ask(client, pod("m")) == ["n2"]
    until(lambda: ask(client, pod("m")) == NODES)
    front_end.board.folder.joinpath("table").unlink()
    assert ask(client, pod("m")) == NODES
