"""What the front end does with requests that no scheduler sends.

    python -m benchmarks.k8s.abuse --table benchmarks/results/extender_abuse.md

Mutations of the requests that a real scheduler sent (extender-captures of the public data), bodies
of 100 MB, bodies and headers that do not arrive, compressed bodies. Counted are answers per status,
empty answers with status 200 (there must be none), whether the process lives, and how its memory
grows. A warm-up of mutations comes first, so that what is allocated once does not count as growth.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import machine
from benchmarks.data import data_path
from benchmarks.k8s.front import FrontEnd, front_end
from benchmarks.markdown import markdown

VERBS = ("filter", "prioritize", "preempt")
INSERTS = (
    b"null",
    b"[[",
    b'{"',
    b"\xff",
    b"1e999",
    b'"\\ud800"',
    b"-",
    b"[" * 5000,
    b'{"a":' * 999,
)


def main() -> None:
    """Send all of it and print the table."""
    parser = argparse.ArgumentParser(prog="abuse", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000, help="mutations; default 10000")
    parser.add_argument("--warm-up", type=int, default=2000, help="mutations before; default 2000")
    parser.add_argument("--large", type=int, default=20, help="bodies of 100 MB; default 20")
    parser.add_argument("--slow", type=int, default=100, help="slow clients; default 100")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, help="write the table here, as markdown")
    args = parser.parse_args()
    requests = recorded()
    rng = random.Random(args.seed)
    rows: list[list[object]] = [["what", "sent", "answers", "empty 200s", "memory MiB", "alive"]]
    with front_end() as front:
        mutations(front, requests, rng, args.warm_up)
        base = front.memory()

        def row(what: str, sent: int, answers: collections.Counter[str], empty: int) -> None:
            told = ", ".join(f"{count} x {status}" for status, count in sorted(answers.items()))
            time.sleep(1)  # memory is given back at the next heartbeat
            grown = f"{front.memory() / 2**20:.1f} ({front.memory() / base - 1:+.1%})"
            rows.append([what, sent, told, empty, grown, front.alive()])

        row("warm-up", args.warm_up, collections.Counter(), 0)
        row("mutated", args.requests, *mutations(front, requests, rng, args.requests))
        row("100 MB, length given", args.large, large(front, args.large, False), 0)
        row("100 MB, chunked", args.large, large(front, args.large, True), 0)
        row("slow body", args.slow, slow(front, args.slow, b"Content-Length: 9\r\n\r\n{"), 0)
        row("slow headers", args.slow, slow(front, args.slow, b"X: y"), 0)
        row("compressed", args.slow, compressed(front, args.slow), 0)
        row("mutated again", args.requests, *mutations(front, requests, rng, args.requests))
    page = "# Requests that no scheduler sends\n\n" + machine.header("uvicorn", "uvloop", "msgspec")
    page += "\n\n" + markdown(rows)
    print(page)
    if args.table:
        args.table.write_text(page)


def recorded() -> dict[str, list[bytes]]:
    """The recorded requests per verb."""
    calls = [
        json.loads(line)
        for file in sorted(data_path("extender-captures").glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    return {
        verb: [json.dumps(call["request"]).encode() for call in calls if call["verb"] == verb]
        for verb in VERBS
    }


def mutations(
    front: FrontEnd, requests: dict[str, list[bytes]], rng: random.Random, count: int
) -> tuple[collections.Counter[str], int]:
    """Answers per status, and how many 200s held no list of nodes."""
    connection = front.connect()
    answers: collections.Counter[str] = collections.Counter()
    empty = 0
    for _ in range(count):
        verb = rng.choice(VERBS)
        status, reply = connection.post(f"/{verb}", mutated(rng, rng.choice(requests[verb])))
        answers[str(status)] += 1
        empty += status == 200 and not holds_an_answer(verb, reply)
    connection.close()
    return answers, empty


def mutated(rng: random.Random, data: bytes) -> bytes:
    """The bytes with something wrong in them; rarely it does not matter."""
    cut = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(cut) + 1)
        what = rng.randrange(5)
        if what == 0:
            cut[at : at + 1] = bytes([rng.randrange(256)])
        elif what == 1:
            del cut[at : at + rng.randint(1, 30)]
        elif what == 2:
            cut[at:at] = rng.choice(INSERTS)
        elif what == 3:
            cut[at:at] = cut[at : at + rng.randint(1, 60)]
        else:
            del cut[at:]
    return bytes(cut)


def holds_an_answer(verb: str, reply: bytes) -> bool:
    """Whether a scheduler would not take it for "no node at all"."""
    answer = json.loads(reply)
    if verb == "filter":
        nodes = answer.get("Nodes") or {}
        return answer.get("NodeNames") is not None or nodes.get("items") is not None
    if verb == "preempt":
        return isinstance(answer.get("NodeNameToMetaVictims"), dict)
    return isinstance(answer, list)


def large(front: FrontEnd, count: int, chunked: bool) -> collections.Counter[str]:
    """Answers to bodies of 100 MB, four at a time."""
    block = b" " * (1 << 20)
    parts = [b"%x\r\n" % len(block), block, b"\r\n"] if chunked else [block]
    head = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (100 << 20)

    def send(connection: socket.socket) -> None:
        connection.sendall(b"POST /filter HTTP/1.1\r\n" + head + b"\r\n\r\n")
        for _ in range(100):
            for part in parts:
                connection.sendall(part)
        if chunked:
            connection.sendall(b"0\r\n\r\n")

    return _all(front, count, 4, send)


def slow(front: FrontEnd, count: int, rest: bytes) -> collections.Counter[str]:
    """Answers to clients that stop in the middle, fifty at a time."""

    def send(connection: socket.socket) -> None:
        connection.sendall(b"POST /filter HTTP/1.1\r\nHost: b\r\n" + rest)

    return _all(front, count, 50, send)


def compressed(front: FrontEnd, count: int) -> collections.Counter[str]:
    """Answers to what may be a bomb."""

    def send(connection: socket.socket) -> None:
        connection.sendall(
            b"POST /filter HTTP/1.1\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: 4\r\n\r\n\x1f\x8b\x08\0"
        )

    return _all(front, count, 10, send)


def _all(
    front: FrontEnd, count: int, together: int, send: Callable[[socket.socket], None]
) -> collections.Counter[str]:
    answers: collections.Counter[str] = collections.Counter()

    def one() -> None:
        told = "hung up"
        try:
            with socket.create_connection(("127.0.0.1", front.ports["verbs"]), 60) as connection:
                send(connection)
                told = connection.recv(65536)[9:12].decode() or told
        except OSError as error:
            told = type(error).__name__
        answers[told] += 1

    for begin in range(0, count, together):
        threads = [threading.Thread(target=one) for _ in range(min(together, count - begin))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return answers


if __name__ == "__main__":
    main()
