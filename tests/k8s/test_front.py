"""What the front end holds: the newest table, no longer than allowed, and never a failure."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from optsched.k8s.extender import front as module
from optsched.k8s.extender.front import Clock, Front
from optsched.k8s.guard import Rules
from optsched.k8s.logs import JsonLines, TextLines
from optsched.k8s.table import Board, Lock, PlanTable, now_ms
from optsched.k8s.wire import Candidates, Nodes, decode_candidates, decode_nodes

from .conftest import pod


class Hand(Clock):
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.time = 0

    def set(self, written: int) -> None:
        """As the real one: never before the writer."""
        self.time = max(self.time, written)

    def now(self) -> int:
        """What was set."""
        return self.time


def asked() -> Nodes:
    """A filter request."""
    return decode_nodes(json.dumps({"Pod": pod(), "NodeNames": ["n0", "n1"]}).encode())


def candidates() -> Candidates:
    """A preempt request."""
    victims = {"n0": {"Pods": [{"UID": "v"}]}}
    return decode_candidates(json.dumps({"Pod": pod(), "NodeNameToMetaVictims": victims}).encode())


def table(lasts: int) -> PlanTable:
    """A plan that keeps n0."""
    end = now_ms() + lasts
    locks = {"n0": Lock(end, {"pods": 1}, {"pods": 1})}
    return PlanTable(plan="p", expires=end, locks=locks)


def test_no_table_outlives_the_limit(tmp_path: Path) -> None:
    """Whatever end it names: a brain that is wrong about time cannot hold a cluster."""
    board, clock = Board(tmp_path), Hand()
    front = Front(board, Rules(max_life=1000), clock)
    published = board.publish(table(10**9))
    decision = front.filter(asked())
    assert decision is not None
    assert decision.kept == ["n1"]
    clock.time = published.written + 999
    decision = front.filter(asked())
    assert decision is not None
    assert decision.kept == ["n1"]
    clock.time = published.written + 1000
    decision = front.filter(asked())
    assert decision is not None
    assert decision.kept is None
    ack = board.ack()
    assert ack is not None
    assert ack.generation == published.generation


def test_a_failure_lets_everything_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fault of ours is counted and logged, and nobody is kept from any node."""
    board = Board(tmp_path)
    front = Front(board, Rules())
    board.publish(table(60_000))

    def fail(*given: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(module, "decide", fail)
    monkeypatch.setattr(module, "veto", fail)
    assert front.filter(asked()) is None
    assert front.preempt(candidates()) is None
    assert front.failures == 2
    assert "ZeroDivisionError" in caplog.text
    assert "stranger" not in caplog.text


def test_a_folder_that_is_gone_does_not_stop_answers(tmp_path: Path) -> None:
    """Neither the board nor the acknowledgement is needed to let pods pass."""
    board = Board(tmp_path / "run")
    front = Front(board, Rules())
    front.acknowledge()
    decision = front.filter(asked())
    assert decision is not None
    assert decision.kept is None


def test_the_real_clock_goes_forward(tmp_path: Path) -> None:
    """Not before the wall clock, nor before who wrote a table."""
    clock = Clock()
    first = clock.now()
    assert abs(first - now_ms()) < 60_000
    clock.set(first + 10**7)
    assert clock.now() >= first + 10**7
    clock.set(0)
    assert abs(clock.now() - now_ms()) < 60_000


def test_log_lines() -> None:
    """JSON lines are JSON whatever is in them; text lines say when and who."""
    record = logging.LogRecord("optsched.x", logging.ERROR, "f", 1, 'a "quoted"\nline', (), None)
    line = json.loads(JsonLines().format(record))
    assert line["msg"] == 'a "quoted"\nline'
    assert (line["level"], line["logger"]) == ("error", "optsched.x")
    assert "\n" not in JsonLines().format(record)
    assert "ERROR optsched.x: a" in TextLines().format(record)


def test_traces_quote_nobody() -> None:
    """Where a fault came from is told, and its kind; the text may hold what a tenant wrote."""
    written = "-".join(("tenant", "name"))
    try:
        raise ValueError(written)
    except ValueError:
        record = logging.LogRecord("optsched.x", logging.ERROR, "f", 1, "m", (), sys.exc_info())
    for lines in (TextLines(), JsonLines()):
        record.exc_text = None
        told = lines.format(record)
        assert "ValueError" in told
        assert "test_front.py" in told
        assert written not in told
