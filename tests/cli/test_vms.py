"""VM snapshots on the command line: rates, goals, fixed VMs, drains and the curve."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from optsched.check import check
from optsched.formats import read
from optsched.snapshot import decode_plan

Run = Callable[..., Result]
SEARCH = ("--workers", 1, "--time-limit", "10s", "--quiet")


@pytest.fixture
def vms(tmp_path: Path, run: Run) -> Path:
    """20 PMs on which each of twelve moves gains one block of 16 cores."""
    path = tmp_path / "vms.json"
    made = run("generate", "vm", "--pms", 20, "--known-gains", 12, "--seed", 5, "-o", path)
    assert made.exit_code == 0, made.output
    return path


def solved(run: Run, path: Path, *options: object) -> dict[str, Any]:
    """The JSON answer."""
    done = run("solve", path, *SEARCH, "--output", "json", *options)
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize(("moves", "gained"), [(0, 0), (1, 1), (8, 8), (12, 12), (40, 12)])
def test_a_known_optimum_is_found_and_proven(run: Run, vms: Path, moves: int, gained: int) -> None:
    """FR16 falls by 16 cores per move, to nothing after twelve; the bound meets it."""
    answer = solved(run, vms, "--moves", moves)
    (rate,) = answer["rates"]
    assert answer["status"] == "optimal"
    assert rate["name"] == "FR16"
    assert rate["after"] == rate["least"] == (192 - 16 * gained) / rate["free"]
    assert rate["blocks_after"] - rate["blocks_before"] == gained
    assert answer["plan"]["order"] == "order-safe"
    assert len(answer["plan"]["waves"]) == (1 if gained else 0)
    assert sum(map(len, answer["plan"]["waves"])) == gained


def test_a_goal_takes_the_fewest_moves(run: Run, vms: Path) -> None:
    """Half of the fragments may stay: six moves; a goal out of reach is missed by a proven rate."""
    rate = solved(run, vms, "--moves", 0)["rates"][0]["before"]
    half = solved(run, vms, "--goal-fr", rate / 2 + 1e-6)
    assert half["status"] == "optimal"
    assert sum(map(len, half["plan"]["waves"])) == 6
    assert [level["value"] for level in half["levels"]] == [0, 6]
    missed = solved(run, vms, "--goal-fr", 0, "--moves", 3)
    assert missed["status"] == "optimal"
    assert missed["rates"][0]["least"] == missed["rates"][0]["after"] > 0
    assert missed["notes"][-1].startswith("the goal 0 is not reached, the rate is 0.")
    assert missed["notes"][-1].endswith("proven: no order-safe plan of at most 3 moves reaches it")
    assert "notes" not in half


def test_text_tells_rates_before_and_after(run: Run, vms: Path) -> None:
    """The verdict, the table and the NUMA nodes of the moves."""
    done = run("solve", vms, *SEARCH, "--moves", 12)
    assert done.exit_code == 0
    assert "-> 0.0000, 12 moved; proven optimal." in done.stdout
    assert "least possible" in done.stdout
    assert "[0]" in done.stdout
    assert "By tier" not in done.stdout


def test_fixed_vms_stay(run: Run, vms: Path) -> None:
    """--fix is --pin: without the twelve, there is less to gain."""
    fixed = ",".join(f"vm-{at}" for at in range(12))
    answer = solved(run, vms, "--moves", 12, "--fix", fixed)
    touched = {move["item"] for wave in answer["plan"]["waves"] for move in wave}
    assert not touched & set(fixed.split(","))


def test_order_says_how_free_the_plan_is(run: Run, vms: Path) -> None:
    """--order takes the words of --sequence; two different wishes are refused."""
    answer = solved(run, vms, "--moves", 3, "--order", "waves")
    assert answer["certificate"]["semantics"] == "waves"
    both = run("solve", vms, "--order", "waves", "--sequence", "order-safe")
    assert both.exit_code == 2
    assert "--order waves and --sequence order-safe differ" in both.stderr


def test_other_rates_may_be_minimised(run: Run, vms: Path) -> None:
    """64-core VMs take both NUMA nodes; memory is weighed beside cores."""
    answer = solved(run, vms, "--moves", 4, "--objective", "fr64")
    assert [rate["name"] for rate in answer["rates"]] == ["FR64"]
    options = ("--moves", 2, "--objective", "fr16:2,mem64", "--time-limit", "2s")
    both = solved(run, vms, *options)
    assert [rate["name"] for rate in both["rates"]] == ["FR16", "MEM64"]
    wrong = run("solve", vms, "--objective", "ram")
    assert wrong.exit_code == 2
    assert "'ram' is not understood" in wrong.stderr
    large = run("solve", vms, "--objective", "fr16,fr90")
    assert large.exit_code == 2
    assert "'fr90': no host could hold such a VM" in large.stderr
    twice = run("solve", vms, "--objective", "fr16,fr16:2")
    assert twice.exit_code == 2
    assert "names 'fr16:2' twice" in twice.stderr


def test_a_drain_that_is_impossible_names_the_vms(run: Run, vms: Path) -> None:
    """More VMs than moves: those that stay are told, and that no plan does better."""
    problem = read(vms)
    count = int((problem.items.host0 == 0).sum())
    answer = solved(run, vms, "--drain", "pm-0", "--moves", 1)
    told = " ".join(answer["notes"])
    assert f"pm-0 is not emptied, {count - 1} items stay: vm-" in told
    assert f"proven: no order-safe plan leaves fewer than {count - 1} on the hosts" in told


def test_a_drain_of_all_hosts_says_so(run: Run, vms: Path) -> None:
    """Nowhere is left to go, and that is proven."""
    names = read(vms).hosts.names
    answer = solved(run, vms, "--drain", ",".join(names))
    assert answer["status"] == "optimal"
    assert answer["plan"]["waves"] == []
    assert "(all hosts are to be emptied)" in answer["notes"][0]


def test_a_vm_cannot_be_fixed_on_a_drained_host(run: Run, vms: Path) -> None:
    """Bad usage that names both."""
    problem = read(vms)
    vm = problem.items.names[int((problem.items.host0 == 0).argmax())]
    done = run("solve", vms, "--fix", vm, "--drain", "pm-0")
    assert done.exit_code == 2
    assert f"'{vm}' is to be kept on 'pm-0', which is to be emptied" in done.stderr


def test_limits_that_cannot_be_meant_are_told(run: Run, vms: Path) -> None:
    """None at all, and more than there are VMs."""
    none = solved(run, vms, "--moves", 0)["warnings"]
    many = solved(run, vms, "--moves", 100_000)["warnings"]
    assert "no move is allowed" in none[-1]
    assert "the limit of 100,000 moves is no limit" in many[-1]


def test_plans_with_wishes_are_checked_again(run: Run, vms: Path, tmp_path: Path) -> None:
    """The plan in a file keeps every rule of the snapshot."""
    path = tmp_path / "plan.json"
    done = run("solve", vms, *SEARCH, "--moves", 5, "--plan-out", path)
    assert done.exit_code == 0
    problem = read(vms).replace(max_moves=5)
    report = check(problem, decode_plan(path.read_bytes(), problem))
    assert not report.violations
    assert report.levels == (192 - 16 * 5,)


@pytest.mark.parametrize("rates", ["fr16", "fr64", "mem64", "fr16:2,fr64"])
def test_a_plan_is_replayed_in_random_orders(
    run: Run, vms: Path, tmp_path: Path, rates: str
) -> None:
    """`check --replay` counts every rate from the room that is left, as solve told it."""
    wishes = ("--moves", 5, "--objective", rates)
    answer, path = solved(run, vms, *wishes), tmp_path / "result.json"
    path.write_text(json.dumps(answer))
    done = run("check", vms, path, *wishes, "--replay", 4, "--output", "json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["ok"]
    assert told["replay"]["orders"] == 4
    assert told["replay"]["faults"] == []
    assert {one["name"]: one["rate"] for one in told["replay"]["rates"]} == {
        one["name"]: one["after"] for one in answer["rates"]
    }
    text = run("check", vms, path, *wishes, "--replay", 1)
    assert text.exit_code == 0
    assert "Replayed in one random order: every move finds room; FR" in text.stdout or (
        "MEM64" in text.stdout
    )
    answer["levels"][0]["value"] += 1
    path.write_text(json.dumps(answer))
    wrong = run("check", vms, path, *wishes, "--replay", 1)
    assert wrong.exit_code == 5
    assert "for the solver" in wrong.stdout


def test_a_plan_without_room_is_not_replayed(run: Run, vms: Path, tmp_path: Path) -> None:
    """What breaks a rule is refused before, and the answer says so."""
    answer, path = solved(run, vms, "--moves", 5), tmp_path / "result.json"
    path.write_text(json.dumps(answer))
    done = run("check", vms, path, "--moves", 4, "--replay", 3)
    assert done.exit_code == 5
    assert "it is not replayed" in done.stdout
    assert "Replayed" not in done.stdout


def test_the_curve_falls_by_a_block_per_move(run: Run, vms: Path, tmp_path: Path) -> None:
    """Eleven limits up to the one given, each proven; as text, JSON, page and picture."""
    page, picture = tmp_path / "curve.html", tmp_path / "curve.svg"
    done = run("solve", vms, *SEARCH, "--moves", 10, "--curve", "--output", "json")
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    points = answer["points"]
    assert [one["moves"] for one in points] == [*range(11)]
    assert all(one["proven"] and one["gap"] == 0 for one in points)
    steps = {round(a["rate"] - b["rate"], 9) for a, b in pairwise(points)}
    assert len(steps) == 1
    for path in (page, picture):
        drawn = run("solve", vms, *SEARCH, "--moves", 4, "--curve", "--report", path)
        assert drawn.exit_code == 0
        assert "\u2588" in drawn.stdout
    assert ET.fromstring(picture.read_text()).tag.endswith("svg")
    assert "<polyline" in page.read_text()


def test_a_curve_of_waves_is_one_of_proofs(run: Run, vms: Path) -> None:
    """Each limit is looked at, in one solve; without time the answer says which were not."""
    asked = ("solve", vms, *SEARCH, "--moves", 4, "--curve", "--order", "waves", "--output", "json")
    points = json.loads(run(*asked).stdout)["points"]
    assert [one["moves"] for one in points] == [*range(5)]
    assert all(one["proven"] and one["looked"] for one in points)
    hurried = run("solve", vms, *SEARCH, "--moves", 9, "--curve", "--time-limit", "0s")
    assert hurried.exit_code == 0
    assert "open: time was up" in hurried.stdout
    named = run("solve", vms, *SEARCH, "--moves", 4, "--curve", "--solver", "greedy")
    assert named.exit_code == 2
    assert "leave out --solver" in named.stderr


def test_a_curve_with_drains_is_solved_limit_by_limit(run: Run, vms: Path) -> None:
    """Without time the limits after the first are marked, and keep its plan."""
    asked = ("solve", vms, *SEARCH, "--drain", "pm-0", "--moves", 4, "--curve", "--output", "json")
    points = json.loads(run(*asked).stdout)["points"]
    assert [one["moves"] for one in points] == [*range(5)]
    assert all(one["looked"] for one in points)
    hurried = json.loads(run(*asked, "--time-limit", "0s").stdout)["points"]
    assert [one["looked"] for one in hurried] == [True, False, False, False, False]
    assert len({one["rate"] for one in hurried}) == 1


def test_counts_reschedule_vms(run: Run, vms: Path) -> None:
    """The known optimum, proven by CP-SAT; pins, drains and several rates are understood."""
    known = solved(run, vms, "--solver", "counts", "--moves", 6)
    assert known["status"] == "optimal"
    assert known["rates"][0]["blocks_after"] - known["rates"][0]["blocks_before"] == 6
    asked = ("--moves", 3, "--drain", "pm-0", "--fix", "vm-0", "--objective", "fr16:2,mem64")
    both = solved(run, vms, "--solver", "counts", *asked)
    assert [rate["name"] for rate in both["rates"]] == ["FR16", "MEM64"]
    assert all(level["bound"] <= level["value"] for level in both["levels"])


def test_a_curve_needs_fragments_and_no_plan(run: Run, vms: Path, snapshot: Path) -> None:
    """Wishes that exclude each other are refused with a sentence."""
    for path, options, words in (
        (vms, ("--plan-out", "x.json"), "makes no plan"),
        (vms, ("--goal-fr", 0.3), "leave out --goal-fr"),
        (vms, ("--report", "curve.png"), "'curve.png' would be neither"),
        (snapshot, (), "counts fragments"),
    ):
        done = run("solve", path, *SEARCH, "--curve", *options)
        assert done.exit_code == 2
        assert words in done.stderr


def test_snapshots_are_drawn_from_files_too(run: Run, vms: Path, tmp_path: Path) -> None:
    """`generate vm --base` deletes and refills; the same seed gives the same file."""
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    for path in (one, two):
        made = run("generate", "vm", "--base", vms, "--usage", 60, "--moves", 7, "-o", path)
        assert made.exit_code == 0, made.output
    assert one.read_bytes() == two.read_bytes()
    assert read(one).max_moves == 7
    plain = run("generate", "vm", "--pms", 12, "--no-refill", "--drop", 20, "--apart", 3)
    assert plain.exit_code == 0
    assert plain.stdout.count('"anti-affinity group') >= 3
    short = run("generate", "vm", "--pms", 12, "--memory", "mixed", "--free-cores", 0)
    assert short.exit_code == 0
    assert "cores are free, not 0" in short.stderr


def test_wishes_about_snapshots_that_mean_nothing_are_refused(run: Run, vms: Path) -> None:
    """A base has its own PMs; a known instance has no load; a list of names has a name."""
    for command, words in (
        (("generate", "vm", "--base", vms, "--pms", 10), "--pms means nothing with --base"),
        (("generate", "vm", "--known-gains", 3, "--usage", 80), "--usage means nothing with"),
        (("generate", "vm", "--free-cores", 90, "--usage", 80), "--usage means nothing with"),
        (("generate", "vm", "--moves-per-gain", 2), "--moves-per-gain means nothing with"),
        (("generate", "vm", "--pms", 1, "--apart", 3), "3 anti-affinity groups"),
        (("solve", vms, "--drain", ""), "a list of names is empty"),
        (("solve", vms, "--fix", ", "), "a list of names is empty"),
    ):
        done = run(*command)
        assert done.exit_code == 2
        assert words in done.stderr
    spaced = run("solve", vms, *SEARCH, "--moves", 3, "--drain", "pm-0, pm-1")
    assert spaced.exit_code == 0


def test_solvers_that_cannot_serve_are_found_at_once(run: Run, vms: Path) -> None:
    """Nobody waits for the first solver to hear that the second one cannot."""
    done = run("compare", vms, "--solvers", "greedy,patterns", "--time-limit", "1h")
    assert done.exit_code == 2
    assert "solver 'patterns' cannot serve this problem" in done.output
