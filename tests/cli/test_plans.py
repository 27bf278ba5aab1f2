"""The commands that look at plans: check, compare, report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Run = Callable[..., Result]


def spoilt(plan: Path) -> Path:
    """The plan without its first wave, so that its second one has no room."""
    document = json.loads(plan.read_bytes())
    del document["waves"][0]
    path = plan.with_name("spoilt.json")
    path.write_text(json.dumps(document))
    return path


def test_check_accepts(run: Run, snapshot: Path, plan: Path) -> None:
    """A sound plan is accepted, with what it is worth."""
    done = run("check", snapshot, plan)
    assert done.exit_code == 0
    assert "keeps every rule" in done.stdout
    assert "unplaced, silver       1" in done.stdout


def test_check_refuses(run: Run, snapshot: Path, plan: Path) -> None:
    """A plan that overloads a host is refused with the rule, the wave and the host."""
    done = run("check", snapshot, spoilt(plan))
    assert done.exit_code == 5
    assert "capacity" in done.stdout
    assert "node-1" in done.stdout
    assert "wave 1" in done.stdout


def test_check_json(run: Run, snapshot: Path, plan: Path) -> None:
    """A program reads violations as records."""
    fine = json.loads(run("check", snapshot, plan, "--output", "json").stdout)
    assert (fine["format"], fine["ok"], fine["violations"]) == ("optsched/check", True, [])
    done = run("check", snapshot, spoilt(plan), "--output", "json")
    assert done.exit_code == 5
    found = json.loads(done.stdout)
    assert not found["ok"]
    assert found["violations"][0]["rule"] == "capacity"
    assert found["violations"][0]["wave"] == 1


def test_check_with_other_options(run: Run, snapshot: Path, plan: Path) -> None:
    """With options of its own the check says so, and judges by them."""
    done = run("check", snapshot, plan, "--drain", "node-2")
    assert done.exit_code == 5
    assert "with other options" in done.stdout


def test_check_takes_results(run: Run, snapshot: Path, tmp_path: Path) -> None:
    """What solve prints as JSON can be checked as it is."""
    result = tmp_path / "result.json"
    done = run("solve", snapshot, "--solver", "greedy", "--output", "json")
    result.write_bytes(done.stdout_bytes)
    assert run("check", snapshot, result).exit_code == 0


def test_check_of_a_plan_for_another_cluster(run: Run, snapshot: Path, plan: Path) -> None:
    """A plan that names what is not there is refused with the name."""
    plan.write_bytes(plan.read_bytes().replace(b"node-2", b"node-8"))
    done = run("check", snapshot, plan)
    assert done.exit_code == 2
    assert "node-8" in done.stderr


def test_compare_plans(run: Run, snapshot: Path, plan: Path, tmp_path: Path) -> None:
    """The better plan is named, and both are shown level by level beside staying."""
    stay = tmp_path / "stay.json"
    document = json.loads(plan.read_bytes())
    document["waves"] = []
    stay.write_text(json.dumps(document))
    done = run("compare", snapshot, stay, plan, "--output", "json")
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["best"] == [str(plan)]
    assert [entry["steps"] for entry in found["entries"]] == [0, 2]
    text = run("compare", snapshot, stay, plan).stdout
    assert "Best: " in text
    assert "unplaced, gold" in text


def test_compare_solvers(run: Run, snapshot: Path) -> None:
    """Solvers are run one by one and shown with status and seconds."""
    done = run("compare", snapshot, "--solvers", "counts,counts", "--workers", 1)
    assert done.exit_code == 0
    assert "Equally good: counts, counts." in done.stdout
    assert "optimal" in done.stdout
    assert "seconds" in done.stdout


def test_compare_tells_who_does_it_with_less(run: Run, tmp_path: Path) -> None:
    """Of plans that are as good, the ones with the fewest steps are named."""
    tables = {
        "hosts": [{"name": name, "capacity": {"cpu": 9}} for name in ("a", "b")],
        "items": [{"name": "x", "host": "a", "demand": {"cpu": 1}}, {"name": "p"}],
        "objective": [{"name": "unplaced", "terms": [{"kind": "unplaced"}]}],
    }
    head = {"version": 1, "kind": "placement"}
    file, short, long = (tmp_path / f"{name}.json" for name in ("file", "short", "long"))
    file.write_text(json.dumps({"format": "optsched/snapshot", **head, **tables}))
    place, move = {"item": "p", "to": "b"}, {"item": "x", "from": "a", "to": "b"}
    for path, wave in ((short, [place]), (long, [place, move])):
        plan = {"format": "optsched/plan", "version": 1, "problem": "", "waves": [wave]}
        path.write_text(json.dumps(plan))
    said = run("compare", file, short, long).stdout
    assert "fewest steps: " in said
    assert said.rstrip().endswith("short.json.")


def test_compare_needs_two(run: Run, snapshot: Path, plan: Path) -> None:
    """One plan alone cannot be compared."""
    done = run("compare", snapshot, plan)
    assert done.exit_code == 2
    assert "at least two" in done.stderr
    done = run("compare", snapshot, plan, plan, "--time-limit", "5s")
    assert done.exit_code == 2
    assert "--time-limit is for --solvers, and none is named" in done.stderr


def test_compare_marks_refused_plans(run: Run, snapshot: Path, plan: Path) -> None:
    """A plan that breaks a rule is not the best one, whatever its levels say."""
    bad = spoilt(plan)
    done = run("compare", snapshot, bad, plan)
    assert done.exit_code == 5
    assert "is refused" in done.stdout
    assert json.loads(run("compare", snapshot, bad, plan, "--output", "json").stdout)["best"] == [
        str(plan)
    ]


def test_report(run: Run, snapshot: Path, plan: Path, tmp_path: Path) -> None:
    """A page of a snapshot, of a plan, and of a result with its certificate."""
    page = tmp_path / "page.html"
    assert run("report", snapshot, "-o", page).exit_code == 0
    assert "No plan: this is the state" in page.read_text()
    assert run("report", snapshot, plan, "-o", page).exit_code == 0
    assert "shop/cart-1" in page.read_text()
    result = tmp_path / "result.json"
    done = run("solve", snapshot, "--solver", "greedy", "--output", "json")
    result.write_bytes(done.stdout_bytes)
    assert run("report", snapshot, result, "-o", page).exit_code == 0
    assert "Certificate" in page.read_text()


def test_report_of_a_result_for_another_problem(run: Run, snapshot: Path, tmp_path: Path) -> None:
    """A certificate is not shown for a problem it does not speak of."""
    result, page = tmp_path / "result.json", tmp_path / "page.html"
    done = run("solve", snapshot, "--solver", "greedy", "--output", "json")
    result.write_bytes(done.stdout_bytes)
    done = run("report", snapshot, result, "--drain", "node-2", "-o", page)
    assert done.exit_code == 0
    assert "with other options" in done.stderr
    assert "Certificate" not in page.read_text()
