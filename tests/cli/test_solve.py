"""`optsched solve`."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result as Outcome

from optsched import registry
from optsched.budget import Budget
from optsched.plan import Order, Placement, Plan
from optsched.problem import Hosts, Items, PlacementProblem
from optsched.result import Result, Status, conclude
from optsched.snapshot import decode_result, encode_snapshot, read_bytes

Run = Callable[..., Outcome]
SOLVE = ("--solver", "counts", "--workers", 1, "--time-limit", "10s")


class Fake:
    """Stays, with a given status; can wait until it is stopped."""

    name = "fake"
    status = Status.FEASIBLE
    waits = False
    seen: dict[str, Any]

    def supports(self, problem: PlacementProblem) -> str | None:
        """Every problem but empty ones."""
        return None if len(problem.items) else "there is nothing to place"

    def solve(
        self,
        problem: PlacementProblem,
        budget: Budget,
        *,
        seed: int = 0,
        start: Plan | None = None,
        order: Order = Order.WAVES,
    ) -> Result:
        """Stay."""
        Fake.seen = {
            "seed": seed,
            "order": order,
            "workers": budget.workers,
            "seconds": budget.remaining(),
            "problem": problem,
        }
        while self.waits and not budget.over():
            time.sleep(0.01)
        stay = Placement.current(problem)
        result = conclude(problem, stay, [], solver="fake", started=time.monotonic(), order=order)
        return replace(result, status=self.status)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[Fake]:
    """A solver named "fake"."""
    monkeypatch.setitem(sys.modules, "fake_solver", SimpleNamespace(Fake=Fake))
    monkeypatch.setitem(registry.SOLVERS, "fake", "fake_solver:Fake")
    monkeypatch.setattr(Fake, "seen", {}, raising=False)
    return Fake


def test_text(run: Run, snapshot: Path) -> None:
    """A person reads what was pending, the moves in waves, what stays pending, and the proof."""
    done = run("solve", snapshot, *SOLVE)
    assert done.exit_code == 0
    for wanted in (
        "small: 3 hosts, 6 items",
        "1 of 2 pending items get a host, 1 moved; proven optimal.",
        "2 steps in 2 waves (waves)",
        "shop/cart-1   node-1   node-2",
        "shop/huge",
        "3 lack cpu (needs 9",
        "unplaced, silver",
        "Every level is proven optimal",
        "counts, ",
    ):
        assert wanted in done.stdout
    assert done.stderr == ""


def test_json(run: Run, snapshot: Path, small_cluster: PlacementProblem) -> None:
    """A program reads one document, the result."""
    done = run("solve", snapshot, *SOLVE, "--output", "json")
    assert done.exit_code == 0
    document = json.loads(done.stdout)
    assert document["format"] == "optsched/result"
    assert document["tiers"] == ["gold", "silver"]
    assert document["levels"][-1]["name"] == "moved[1]"
    result = decode_result(done.stdout_bytes, small_cluster)
    assert result.status is Status.OPTIMAL
    assert result.levels[0].value == 0


def test_standard_input(run: Run, snapshot: Path) -> None:
    """A file and standard input give the same answer."""
    done = run("solve", "-", *SOLVE, "--output", "json", stdin=snapshot.read_bytes())
    other = run("solve", snapshot, *SOLVE, "--output", "json")
    assert json.loads(done.stdout)["plan"] == json.loads(other.stdout)["plan"]


def test_files(run: Run, snapshot: Path, tmp_path: Path) -> None:
    """The plan and the report land in files, and nothing else is left there."""
    plan, report = tmp_path / "out" / "plan.json.gz", tmp_path / "out" / "report.html"
    plan.parent.mkdir()
    done = run("solve", snapshot, *SOLVE, "--plan-out", plan, "--report", report)
    assert done.exit_code == 0
    assert json.loads(read_bytes(plan))["format"] == "optsched/plan"
    assert "<!doctype html>" in report.read_text()
    assert sorted(path.name for path in plan.parent.iterdir()) == ["plan.json.gz", "report.html"]


def test_search_options(run: Run, snapshot: Path, fake: type[Fake]) -> None:
    """Options of the search reach the solver."""
    options = ("--seed", 7, "--workers", 3, "--time-limit", "2m", "--sequence", "order-safe")
    assert run("solve", snapshot, "--solver", "fake", *options).exit_code == 0
    seen = fake.seen
    assert (seen["seed"], seen["workers"], seen["order"]) == (7, 3, Order.SAFE)
    assert 110 < seen["seconds"] <= 120


def test_environment(
    run: Run, snapshot: Path, fake: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every option is an environment variable too; the command line wins."""
    monkeypatch.setenv("OPTSCHED_SOLVE_SOLVER", "fake")
    monkeypatch.setenv("OPTSCHED_SOLVE_SEED", "5")
    monkeypatch.setenv("OPTSCHED_SOLVE_DRAIN", "node-2")
    assert run("solve", snapshot).exit_code == 0
    assert fake.seen["seed"] == 5
    assert fake.seen["problem"].hosts.drain.tolist() == [False, True, False]
    assert run("solve", snapshot, "--seed", 6).exit_code == 0
    assert fake.seen["seed"] == 6


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (("--evict", "lower"), "evict", 1),
        (("--evict", "any"), "evict", 2),
        (("--order", "place-first"), "order", "place-first"),
        (("--protect-higher",), "protect_higher", True),
        (("--max-moves", 3), "max_moves", 3),
        (("--owner-at-once", 2), "owner_at_once", 2),
    ],
)
def test_wishes(
    run: Run,
    snapshot: Path,
    fake: type[Fake],
    options: tuple[object, ...],
    field: str,
    value: object,
) -> None:
    """Wishes end up in the problem; without them it is as the file says."""
    assert run("solve", snapshot, "--solver", "fake").exit_code == 0
    assert getattr(fake.seen["problem"], field) != value
    assert run("solve", snapshot, "--solver", "fake", *options).exit_code == 0
    assert getattr(fake.seen["problem"], field) == value


def test_drain(run: Run, snapshot: Path) -> None:
    """A drained host loses what fits elsewhere; what is left on it is a level of the answer."""
    done = run("solve", snapshot, *SOLVE, "--drain", "node-1", "--output", "json")
    document = json.loads(done.stdout)
    moves = [move for wave in document["plan"]["waves"] for move in wave]
    assert [(move["item"], move["from"]) for move in moves] == [("shop/cart-1", "node-1")]
    assert (document["levels"][0]["name"], document["levels"][0]["value"]) == ("drained", 1)


def test_consolidate(run: Run, tmp_path: Path) -> None:
    """Two half-empty hosts become one."""
    problem = PlacementProblem.of(Hosts.of([[4], [4]]), Items.of([[2], [2]], host0=[0, 1]))
    path = tmp_path / "two.json"
    path.write_bytes(encode_snapshot(problem))
    done = run("solve", path, *SOLVE, "--consolidate", "--output", "json")
    levels = {level["name"]: level["value"] for level in json.loads(done.stdout)["levels"]}
    assert levels == {"unplaced[0]": 0, "evicted[0]": 0, "host_cost": 1, "moved[0]": 1}


def test_hosts_to_add(run: Run, snapshot: Path) -> None:
    """The answer names how many hosts to add, and that none is needed where none is."""
    huge = ("--add-host-like", "node-3:2")
    done = run("solve", snapshot, *SOLVE, *huge, "--pin", "shop/cart-1,shop/web")
    assert done.exit_code == 0
    assert "hosts to add: 0" in done.stdout
    more = run("solve", snapshot, *SOLVE, "--pin", "cart-1", "--add-host-like", "node-1:1")
    assert "hosts to add: 1 like node-1" in more.stdout


@pytest.mark.parametrize(
    ("status", "code"),
    [(Status.OPTIMAL, 0), (Status.FEASIBLE, 0), (Status.INFEASIBLE, 3), (Status.UNKNOWN, 4)],
)
def test_exit_codes(
    run: Run,
    snapshot: Path,
    fake: type[Fake],
    monkeypatch: pytest.MonkeyPatch,
    status: Status,
    code: int,
) -> None:
    """The status is the exit code; the answer is printed all the same."""
    monkeypatch.setattr(fake, "status", status)
    done = run("solve", snapshot, "--solver", "fake", "--output", "json")
    assert done.exit_code == code
    assert json.loads(done.stdout)["status"] == status.value


@pytest.mark.parametrize(("status", "code"), [(Status.FEASIBLE, 0), (Status.UNKNOWN, 130)])
def test_interrupt_returns_the_incumbent(
    run: Run,
    snapshot: Path,
    fake: type[Fake],
    monkeypatch: pytest.MonkeyPatch,
    status: Status,
    code: int,
) -> None:
    """Ctrl-C once ends the search with what there is, long before its time is over."""
    monkeypatch.setattr(fake, "status", status)
    monkeypatch.setattr(fake, "waits", True)
    before = signal.getsignal(signal.SIGINT)

    def interrupt() -> None:
        while not fake.seen:
            time.sleep(0.01)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    done = run("solve", snapshot, "--solver", "fake", "--time-limit", "1h")
    assert done.exit_code == code
    assert "stopping with the best plan so far" in done.stderr
    assert signal.getsignal(signal.SIGINT) is before


def test_second_interrupt_gives_up(
    run: Run, snapshot: Path, fake: type[Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C twice does not wait for a solver that does not listen."""
    monkeypatch.setattr(Budget, "over", lambda budget: bool(fake.seen.get("let go")))
    monkeypatch.setattr(fake, "waits", True)

    def interrupt() -> None:
        while not fake.seen:
            time.sleep(0.01)
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.2)

    threading.Thread(target=interrupt, daemon=True).start()
    done = run("solve", snapshot, "--solver", "fake", "--time-limit", "1h")
    fake.seen["let go"] = True
    assert done.exit_code == 130
    assert "interrupted" in done.stderr
