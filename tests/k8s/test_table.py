"""The plan table crosses a process boundary whole, and only whole."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from optsched.errors import FormatError
from optsched.k8s.table import (
    EMPTY,
    Ack,
    Board,
    Lock,
    Member,
    PlanTable,
    Token,
    decode_table,
    encode_table,
    now_ms,
    template_hash,
)

TABLE = PlanTable(
    plan="p-1",
    expires=now_ms() + 60_000,
    priority=5,
    members={"uid-1": Member("node-1", now_ms() + 1000, open=False)},
    tokens=(Token("uid-2", "shop", "rs-1", "node-2", now_ms(), now_ms() + 1000, hash="5d"),),
    locks={"node-1": Lock(now_ms() + 1000, {"cpu": 100, "pods": 3}, {"cpu": 2000, "pods": 1})},
    settled=frozenset({"uid-9"}),
    exempt=frozenset({"paused"}),
)


def test_a_table_survives_the_journey() -> None:
    """What is encoded is decoded the same."""
    assert decode_table(encode_table(TABLE)) == TABLE


@pytest.mark.parametrize("data", [b"", b"\xc1", encode_table(TABLE)[:-3], b"{}"])
def test_what_is_no_table_is_refused(data: bytes) -> None:
    """Truncated and foreign bytes end in one sentence."""
    with pytest.raises(FormatError, match="plan table"):
        decode_table(data)


def test_another_version_is_refused() -> None:
    """A table that another release wrote is not guessed at."""
    with pytest.raises(FormatError, match="version 99"):
        decode_table(encode_table(PlanTable(version=99)))


def test_generations_rise_even_across_restarts(tmp_path: Path) -> None:
    """A brain that starts anew publishes above what the old one published."""
    first = Board(tmp_path / "run").publish(TABLE)
    second = Board(tmp_path / "run").publish(TABLE)
    third = Board(tmp_path / "run").clear()
    assert first.generation < second.generation < third.generation
    assert Board(tmp_path / "run").read() == third
    assert third.plan == ""


def test_the_stamp_changes_with_every_table(tmp_path: Path) -> None:
    """The stamp is the generation, which no two tables share, however fast they follow."""
    board = Board(tmp_path)
    assert board.stamp() == 0
    for _ in range(50):
        assert board.publish(TABLE).generation == board.stamp()


def test_a_broken_table_is_replaced(tmp_path: Path) -> None:
    """Garbage in the file does not stop the brain from publishing."""
    board = Board(tmp_path)
    (tmp_path / "table").write_bytes(b"\xc1garbage")
    with pytest.raises(FormatError):
        board.read()
    assert board.publish(TABLE).generation > 0
    assert board.read().plan == "p-1"


def test_readers_never_see_a_part(tmp_path: Path) -> None:
    """A reader beside a busy writer always finds a whole table."""
    board = Board(tmp_path)
    board.publish(TABLE)
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            board.publish(TABLE)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        last = 0
        for _ in range(300):
            table = board.read()
            assert table.plan == "p-1"
            assert table.generation >= last
            last = table.generation
    finally:
        stop.set()
        writer.join()


def test_only_the_very_table_is_acknowledged(tmp_path: Path) -> None:
    """The acknowledgement of another generation does not count, and waiting ends."""
    board = Board(tmp_path)
    old = board.publish(TABLE)
    assert board.ack() is None
    board.acknowledge(Ack(old.generation, old.plan, now_ms(), 1))
    assert board.wait(old, 0)
    new = board.publish(TABLE)
    assert not board.wait(new, 0.01)

    def later() -> None:
        time.sleep(0.02)
        board.acknowledge(Ack(new.generation, new.plan, now_ms(), 1, at_risk=("node-1",)))

    threading.Thread(target=later).start()
    assert board.wait(new, 30)
    ack = board.ack()
    assert ack is not None
    assert ack.at_risk == ("node-1",)


def test_template_hash() -> None:
    """Revisions are told apart by the labels of ReplicaSets, StatefulSets and DaemonSets."""
    assert template_hash({"pod-template-hash": "a", "controller-revision-hash": "b"}) == "a"
    assert template_hash({"controller-revision-hash": "b"}) == "b"
    assert template_hash({"app": "x"}) == template_hash(None) == ""


def test_the_empty_table_holds_nothing() -> None:
    """No plan, nothing locked."""
    assert EMPTY.plan == ""
    assert not EMPTY.members
    assert not EMPTY.locks
