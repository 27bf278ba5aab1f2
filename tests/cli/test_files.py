"""The commands that make files: convert and generate; and bench."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from optsched.cli import bench
from optsched.problem import PlacementProblem
from optsched.snapshot import decode_snapshot, read_bytes

Run = Callable[..., Result]


def test_convert(run: Run, snapshot: Path, tmp_path: Path, small_cluster: PlacementProblem) -> None:
    """A snapshot of a snapshot is the same problem, packed or not."""
    target = tmp_path / "copy.json.gz"
    assert run("convert", snapshot, target).exit_code == 0
    assert decode_snapshot(read_bytes(target)).digest() == small_cluster.digest()


def test_convert_writes_wishes(run: Run, snapshot: Path) -> None:
    """Options that change the problem are in the snapshot."""
    done = run("convert", snapshot, "-", "--drain", "node-1", "--evict", "lower")
    problem = decode_snapshot(done.stdout_bytes)
    assert problem.hosts.drain.tolist() == [True, False, False]
    assert problem.evict.name == "LOWER"


def test_convert_to_a_format_without_a_writer(run: Run, snapshot: Path) -> None:
    """A format that can only be read is refused."""
    done = run("convert", snapshot, "-", "--to", "openb")
    assert done.exit_code == 2
    assert "can be read but not written" in done.stderr


def test_generate(run: Run) -> None:
    """The same seed gives the same bytes, another one does not."""
    size = ("--nodes", 3, "--pods-per-node", 2)
    one, two, other = (run("generate", "paper", *size, "--seed", seed) for seed in (1, 1, 2))
    assert one.exit_code == 0
    assert one.stdout_bytes == two.stdout_bytes != other.stdout_bytes
    problem = decode_snapshot(one.stdout_bytes)
    assert (len(problem.hosts), len(problem.items)) == (3, 6)


@pytest.mark.parametrize(
    "kind",
    [
        ("cluster", "--nodes", 6, "--pods-per-node", 4, "--pending", 2),
        ("known-optimum", "--hosts", 4, "--moves", 1),
        ("paper", "--nodes", 2),
        ("demo",),
    ],
)
def test_every_kind_can_be_read(run: Run, kind: tuple[object, ...]) -> None:
    """Whatever is generated is a file that the other commands read."""
    drawn = run("generate", *kind)
    assert drawn.exit_code == 0, drawn.stderr
    assert run("convert", "-", "-", stdin=drawn.stdout_bytes).exit_code == 0


def test_generate_refuses_sizes_that_contradict_each_other(run: Run) -> None:
    """Moves need hosts to lead to."""
    done = run("generate", "known-optimum", "--hosts", 2, "--moves", 5)
    assert done.exit_code == 2
    assert "5 moves need" in done.stderr


def test_generated_files_can_be_solved(run: Run) -> None:
    """Generate and solve work as one pipe."""
    drawn = run("generate", "paper", "--nodes", 2, "--pods-per-node", 2, "--usage", 90)
    done = run("solve", "-", "--solver", "greedy", "--output", "json", stdin=drawn.stdout_bytes)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["status"] in ("optimal", "feasible")


def test_bench_lists(run: Run) -> None:
    """Without a name the benchmarks of the checkout are listed."""
    done = run("bench")
    assert done.exit_code == 0
    assert "pod-packing" in done.stdout.split()


def test_bench_unknown(run: Run) -> None:
    """A benchmark that does not exist is refused with those that do."""
    done = run("bench", "speed")
    assert done.exit_code == 2
    assert "no benchmark 'speed' (there are: " in done.stderr


def test_bench_runs(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark gets its arguments, and its exit code is ours."""
    folder = tmp_path / "benchmarks" / "two_words"
    folder.mkdir(parents=True)
    (folder / "run.py").write_text("import sys; sys.exit(len(sys.argv[1:]))")
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    assert run("bench", "two-words", "--", "--some", "thing", "else").exit_code == 3


def test_bench_in_an_installation(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no checkout, a sentence says so."""
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    done = run("bench")
    assert done.exit_code == 2
    assert "part of a checkout" in done.stderr


def test_formats_are_listed(run: Run) -> None:
    """`convert --formats` names each with what it is and whether it can be written."""
    told = run("convert", "--formats")
    assert told.exit_code == 0
    assert "snapshot          optsched's own snapshots, JSON (read, write)" in told.stdout
    assert "GPU trace, nodes.csv,pods.csv (read)" in told.stdout
