"""`optsched explain`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

Run = Callable[..., Result]


def test_a_pending_item(run: Run, snapshot: Path) -> None:
    """Every requirement with its hosts, the ways out, and whether empty hosts would do."""
    done = run("explain", snapshot, "wide")
    assert done.exit_code == 0
    for wanted in (
        "shop/wide (tier gold, needs 2 cpu, 1 GiB memory)",
        "It is pending.",
        "No host is open.",
        "cpu (needs 2, at most 1 free)",
        "with more cpu: fits node-1 and 1 other",
        "without taints: fits node-3",
        "2 hosts like node-1 (4 cpu, 8 GiB memory): it would fit",
        "1 host like node-3 (8 cpu, 16 GiB memory): large enough when empty, but",
    ):
        assert wanted in done.stdout


def test_a_pending_item_on_cells(run: Run, tmp_path: Path) -> None:
    """What helps is more free cells, not going without."""
    gpus = {"capacity": {"gpu_milli": 1000}, "kind": "gpu", "count": 2}
    pod = {"cells_needed": 2, "cell_demand": {"gpu_milli": 1000}}
    file = tmp_path / "gpus.json"
    tables = {
        "hosts": [{"name": "a", "cells": [gpus]}],
        "items": [{"name": "r", "host": "a", "cells": [0, 1], **pod}, {"name": "p", **pod}],
    }
    head = {"format": "optsched/snapshot", "version": 1, "kind": "placement"}
    file.write_text(json.dumps(head | tables))
    done = run("explain", file, "p")
    assert done.exit_code == 0, done.output
    assert "with more free cells: fits a" in done.stdout


def test_an_item_that_fits_nowhere(run: Run, snapshot: Path) -> None:
    """An item larger than every host is told so."""
    done = run("explain", snapshot, "shop/huge")
    assert "too small even when empty (cpu)" in done.stdout
    assert "It fits no host here, even an empty one." in done.stdout


def test_a_pinned_item(run: Run, snapshot: Path) -> None:
    """A pinned item is explained by its reason alone."""
    done = run("explain", snapshot, "kube-system/dns")
    assert "It runs on node-2." in done.stdout
    assert "It may not be moved: in the namespace kube-system." in done.stdout
    assert "ways out" not in done.stdout


def test_with_a_plan(run: Run, snapshot: Path, plan: Path) -> None:
    """The plan's wave is named, and who makes room."""
    done = run("explain", snapshot, "shop/wide", "--plan", plan)
    assert "wave 2 of the plan takes it to node-1, after shop/cart-1 made room." in done.stdout
    assert "the plan leaves it so" in run("explain", snapshot, "web", "--plan", plan).stdout


def test_json(run: Run, snapshot: Path) -> None:
    """A program reads the same as records."""
    found = json.loads(run("explain", snapshot, "shop/wide", "--output", "json").stdout)
    assert found["format"] == "optsched/explanation"
    assert (found["host"], found["open"]) == (None, [])
    assert found["blockers"][0] == {
        "kind": "resource",
        "name": "cpu",
        "hosts": 2,
        "alone": 2,
        "demand": 2000,
        "most_free": 1000,
    }
    assert found["relaxations"][1]["without"] == [{"kind": "requirement", "name": "taints"}]
    assert [kind["fits"] for kind in found["empty_hosts"]] == [True, False]


def test_unknown_item(run: Run, snapshot: Path) -> None:
    """An item that is not there is refused with the nearest one."""
    done = run("explain", snapshot, "shop/wied")
    assert done.exit_code == 2
    assert "did you mean 'shop/wide'" in done.stderr
