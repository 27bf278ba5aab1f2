"""The front end as a process: what a scheduler gets, whatever it or anybody else sends."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from optsched.k8s.table import NS, Lock, Member, PlanTable, now_ms

from .conftest import PATIENCE, Client, FrontEnd, Start, pod, recorded, until

NODES = ["n0", "n1", "n2", "n3"]


def table(**parts: Any) -> PlanTable:
    """A plan that is live for five minutes."""
    return PlanTable(**{"plan": "p", "expires": now_ms() + 300_000, "priority": 5, **parts})


def full() -> Lock:
    """A node on which nobody else has room."""
    return Lock(now_ms() + 300_000, {"cpu": 500, "pods": 9}, {"cpu": 500, "pods": 1})


def ask(client: Client, who: dict[str, Any], names: list[str] | None = None) -> list[str]:
    """The nodes that filter leaves, after a look at the rest of the reply."""
    names = NODES if names is None else names
    reply = client.post("filter", {"Pod": who, "Nodes": None, "NodeNames": names})
    assert reply["Error"] == ""
    assert reply["FailedNodes"] == {}
    rejected = reply["FailedAndUnresolvableNodes"]
    assert sorted([*reply["NodeNames"], *rejected]) == sorted(names)
    assert all(rejected.values())
    left: list[str] = reply["NodeNames"]
    return left


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


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/filter", None, {}, 405),
        ("POST", "/bind", b"{}", {}, 404),
        ("POST", "/", b"{}", {}, 404),
        ("POST", "/filter/", b"{}", {}, 404),
        ("POST", "/filter", b"\x1f\x8b", {"Content-Encoding": "gzip"}, 415),
        ("POST", "/filter", b"", {}, 400),
        ("POST", "/filter", b"{}", {}, 400),
        ("POST", "/prioritize", b"[]", {}, 400),
        ("POST", "/preempt", b'{"Pod":{"metadata":{"uid":"u"}}}', {}, 400),
        ("POST", "/filter", b"x" * (17 << 20), {}, 413),
    ],
)
def test_what_is_refused(
    front_end: FrontEnd,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
) -> None:
    """Each with its status and one sentence, and the next request is answered."""
    client = front_end.client()
    got, reply = client.ask(method, path, body, headers)
    assert got == status
    assert json.loads(reply)["Error"]
    assert front_end.client().ask("POST", "/filter", {"Pod": pod(), "NodeNames": []})[0] == 200


def mutated(rng: random.Random, data: bytes) -> bytes:
    """The bytes with something wrong in them."""
    cut = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(cut))
        what = rng.randrange(5)
        if what == 0:
            cut[at] = rng.randrange(256)
        elif what == 1:
            del cut[at : at + rng.randint(1, 30)]
        elif what == 2:
            cut[at:at] = rng.choice([b"null", b"[[", b'{"', b"\xff", b"1e999", b'"\\ud800"', b"-"])
        elif what == 3:
            cut[at:at] = cut[at : at + rng.randint(1, 60)]
        else:
            del cut[at:]
        if not cut:
            return b""
    return bytes(cut)


def test_mutated_requests_do_no_harm(front_end: FrontEnd, data_path: Callable[[str], Path]) -> None:
    """Each gets 400, or 200 with a list of nodes; the process lives on."""
    front_end.board.publish(table(locks={"n1": full()}))
    rng = random.Random(7)
    requests = {
        verb: [json.dumps(one).encode() for one in recorded(data_path, verb)]
        for verb in ("filter", "prioritize", "preempt")
    }
    client = front_end.client()
    statuses = set()
    for _ in range(1500):
        verb = rng.choice(list(requests))
        status, reply = client.ask("POST", f"/{verb}", mutated(rng, rng.choice(requests[verb])))
        statuses.add(status)
        answer = json.loads(reply)
        if status == 400:
            assert answer["Error"]
        elif verb == "filter":
            assert answer.get("NodeNames") is not None or answer["Nodes"]["items"] is not None
        elif verb == "prioritize":
            assert isinstance(answer, list)
        else:
            assert isinstance(answer["NodeNameToMetaVictims"], dict)
    assert statuses == {200, 400}
    assert ask(front_end.client(), pod()) == ["n0", "n2", "n3"]


def raw(front: FrontEnd, port: str = "verbs") -> socket.socket:
    """A bare connection."""
    return socket.create_connection(("127.0.0.1", front.ports[port]), 60)


def answer_to(connection: socket.socket) -> bytes:
    """Everything until the other side hangs up."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.fixture(scope="module")
def strict(start: Start) -> FrontEnd:
    """A front end with little patience and little room."""
    return start(
        extender={"bodyTimeout": "1s", "concurrency": 2, "maxBodyBytes": 65536, "prefix": "/x"}
    )


def answers(connection: socket.socket, count: int) -> list[tuple[bytes, Any]]:
    """Status and body of as many answers."""
    with connection.makefile("rb") as stream:
        found = []
        for _ in range(count):
            status, length = stream.readline()[9:12], 0
            while (line := stream.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            found.append((status, json.loads(stream.read(length))))
    return found


def test_pieces_do_not_matter(front_end: FrontEnd) -> None:
    """However a request is cut, and whatever follows it in the same piece, the answer is one."""
    front_end.board.publish(table(locks={"n1": full()}))
    body = json.dumps({"Pod": pod(), "NodeNames": NODES}).encode()
    head = b"POST /filter HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    whole = head + body
    wrong = b"POST /filter HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
    last = whole.replace(b"Host: a", b"Connection: close")
    with raw(front_end) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for cut in (10, len(head), len(head) + 7, len(whole) - 1):
            connection.sendall(whole[:cut])
            time.sleep(0.05)
            connection.sendall(whole[cut:])
        connection.sendall(whole + whole + head[:5])
        time.sleep(0.05)
        connection.sendall(head[5:] + body + wrong + whole + last)
        got = answers(connection, 10)
        assert connection.recv(1) == b""
    assert [status for status, _ in got] == [*[b"200"] * 7, b"400", b"200", b"200"]
    good = [reply for _, reply in got if "NodeNames" in reply]
    assert all(reply == good[0] for reply in good)
    assert good[0]["NodeNames"] == ["n0", "n2", "n3"]
    assert "expected" in got[7][1]["Error"] or "no pod" in got[7][1]["Error"]


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /x/filter HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
        b"POST /x/filter HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"POST /x/filter HTTP/1.1\r\nHost:",
        b"P",
    ],
)
def test_slow_clients_get_408(strict: FrontEnd, sent: bytes) -> None:
    """Headers or a body that do not arrive end the connection."""
    with raw(strict) as connection:
        connection.sendall(sent)
        assert answer_to(connection).startswith(b"HTTP/1.1 408 ")


def test_a_trickle_is_slow_too(strict: FrontEnd) -> None:
    """A byte now and then does not start the clock anew."""
    with raw(strict) as connection:
        connection.sendall(b"POST /x/filter HTTP/1.1\r\nHost: a\r\n")

        def trickle() -> None:
            with contextlib.suppress(OSError):  # it ends with the connection
                while True:
                    connection.sendall(b"X: y\r\n")
                    time.sleep(0.05)

        writer = threading.Thread(target=trickle)
        writer.start()
        assert answer_to(connection).startswith(b"HTTP/1.1 408 ")
        connection.shutdown(socket.SHUT_RDWR)
        writer.join()


def test_endless_headers_get_431(strict: FrontEnd) -> None:
    """Nobody fills the memory with headers."""
    with raw(strict) as connection:
        connection.sendall(b"POST /x/filter HTTP/1.1\r\n" + b"X: y\r\n" * 20_000)
        assert answer_to(connection).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("chunked", [False, True])
def test_large_bodies_get_413(strict: FrontEnd, chunked: bool) -> None:
    """Whether their length is said or not."""
    with raw(strict) as connection:
        if chunked:
            connection.sendall(b"POST /x/filter HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(40):
                connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")
            connection.sendall(b"0\r\n\r\n")
        else:
            connection.sendall(
                b"POST /x/filter HTTP/1.1\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000
            )
        assert answer_to(connection).startswith(b"HTTP/1.1 413 ")


def test_what_is_no_http_gets_400(strict: FrontEnd) -> None:
    """A client of another protocol is told so."""
    with raw(strict) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00hello\r\n\r\n")
        assert answer_to(connection).startswith(b"HTTP/1.1 400 ")


def test_too_many_at_once_get_503(strict: FrontEnd) -> None:
    """The one that is too many is told at once; the others may finish."""
    body = json.dumps({"Pod": pod(), "NodeNames": ["n0"]}).encode()
    head = b"POST /x/filter HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body)
    for _ in range(50):
        waiting = [raw(strict) for _ in range(3)]
        for connection in waiting:
            connection.sendall(head + body[:5])
        told = [answer_to(connection)[9:12] for connection in waiting]
        for connection in waiting:
            connection.close()
        if told.count(b"503") == 1:
            break
    assert sorted(told) == [b"408", b"408", b"503"]
    assert strict.client().ask("POST", "/x/filter", body)[0] == 200


def test_the_prefix_is_part_of_the_path(strict: FrontEnd) -> None:
    """The scheduler's urlPrefix may end in a path."""
    body = {"Pod": pod(), "NodeNames": ["n0"]}
    assert strict.client().ask("POST", "/x/filter", body)[0] == 200
    assert strict.client().ask("POST", "/filter", body)[0] == 404


def test_it_ends_when_told(start: Start) -> None:
    """SIGTERM closes what is idle, lets what is running finish, and the exit code is 0."""
    front = start()
    idle = front.client()
    ask(idle, pod())
    with raw(front) as connection:
        body = json.dumps({"Pod": pod(), "NodeNames": ["n0"]}).encode()
        connection.sendall(b"POST /filter HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body))
        connection.sendall(body[:10])
        time.sleep(0.2)
        front.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        connection.sendall(body[10:])
        assert b'"NodeNames":["n0"]' in answer_to(connection)
    assert front.process.wait(PATIENCE) == 0  # to tell it twice would be to insist


def test_settings_are_taken_over_while_running(start: Start) -> None:
    """A new value holds from the next heartbeat on; a bad file changes nothing and is told."""
    front = start(guard={"maxHold": "1h"})
    front.board.publish(table(locks={"n0": full()}))
    client, health = front.client(), front.client("health")
    assert ask(client, pod(), ["n0"]) == []
    good = front.config.read_text()
    front.config.write_text("nonsense: {")
    until(lambda: "[!] configuration: the last good one" in health.get("/readyz?verbose")[1])
    assert health.get("/readyz")[0] == 200
    assert ask(client, pod(), ["n0"]) == []
    tree = yaml.safe_load(good)
    tree["guard"]["maxHold"] = "10ms"
    front.config.write_text(yaml.safe_dump(tree))
    until(lambda: ask(client, pod(), ["n0"]) == ["n0"])
    assert "[+] configuration: in force" in health.get("/readyz?verbose")[1]


def test_the_switch_works_without_the_brain(start: Start) -> None:
    """In every other mode a table that is there counts for nothing, and is not acknowledged."""
    front = start(mode="Advisory")
    published = front.board.publish(table(locks={"n1": full()}))
    client, health = front.client(), front.client("health")
    assert ask(client, pod()) == NODES
    assert not front.board.is_acknowledged(published)
    assert "not looked at in mode Advisory" in health.get("/readyz?verbose")[1]
    tree = yaml.safe_load(front.config.read_text())
    for mode, left in (("Enforce", ["n0", "n2", "n3"]), ("Off", NODES), ("Enforce", NODES[:1])):
        if left == NODES[:1]:
            front.board.publish(table(locks={n: full() for n in NODES[1:]}))
        front.config.write_text(yaml.safe_dump({**tree, "mode": mode}))
        until(lambda left=left: ask(client, pod()) == left)


def test_a_bad_configuration_is_refused_at_the_start(start: Start) -> None:
    """One sentence, exit code 2."""
    with pytest.raises(AssertionError, match=r"Error: .*extender\.port"):
        start(extender={"port": "many"})
    with pytest.raises(AssertionError, match=r"prioritize\.scorer: nothing:here cannot be loaded"):
        start(prioritize={"scorer": "nothing:here"})


SCORERS = """
import os, time
def rising(question):
    assert question.request["cpu"] == 500
    return range(len(question.names))
def slow(question):
    time.sleep(60)
def dying(question):
    os._exit(3)
def wrong(question):
    return [11] * len(question.names)
"""


@pytest.mark.parametrize("name", ["rising", "slow", "dying", "wrong"])
def test_a_scorer_can_only_score(start: Start, tmp_path: Path, name: str) -> None:
    """In time its scores are given; a slow, dying or wrong one changes nothing."""
    (tmp_path / "scorers.py").write_text(SCORERS)
    front = start(
        {"PYTHONPATH": str(tmp_path)},
        prioritize={"scorer": f"scorers:{name}", "budget": "30s" if name != "slow" else "50ms"},
    )
    request = {"Pod": pod(), "Nodes": None, "NodeNames": NODES}
    client = front.client()
    scores = [one["Score"] for one in client.post("prioritize", request)]
    assert scores == ([0, 1, 2, 3] if name == "rising" else [0, 0, 0, 0])
    assert ask(client, pod()) == NODES
    assert [one["Host"] for one in client.post("prioritize", request)] == NODES


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
