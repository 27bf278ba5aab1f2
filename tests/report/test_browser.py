"""The HTML report in a real browser."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from optsched.problem import PlacementProblem
from optsched.report import page
from optsched.result import Result

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=2000",
)
HOSTILE = "<script>document.title='owned'</script>"


@pytest.mark.skipif(BROWSER is None, reason="no chromium here: apt-get install chromium")
def test_opens_in_a_browser(
    tmp_path: Path, small_cluster: PlacementProblem, answer: Result
) -> None:
    """The page renders, its own script runs, and a script in a name does not."""
    hostile = small_cluster.replace(
        items=replace(small_cluster.items, names=(HOSTILE, *small_cluster.items.names[1:])),
        name=HOSTILE,
    )
    plan = replace(answer.plan, problem=hostile.digest())
    file = tmp_path / "report.html"
    file.write_text(page(hostile, replace(answer, plan=plan)), "utf-8")
    shot = tmp_path / "report.png"
    done = subprocess.run(
        [
            str(BROWSER),
            *FLAGS,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--screenshot={shot}",
            "--window-size=1100,1600",
            "--dump-dom",
            file.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert '<html lang="en" class="js">' in done.stdout
    assert "shop/cart-1" in done.stdout
    assert "<title>owned</title>" not in done.stdout
    assert "Content Security Policy" not in done.stderr
    assert shot.stat().st_size > 20_000  # a blank page of this size packs into less than 10 kB
