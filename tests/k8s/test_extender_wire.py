"""The front end's sockets: whatever anybody sends, in whatever pieces, is answered or refused."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import PATIENCE, FrontEnd, Start, pod, recorded
from .front_tables import NODES, ask, full, table


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
