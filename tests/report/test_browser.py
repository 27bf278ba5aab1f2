"""The HTML report in a real browser."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from optsched.api import schedule
from optsched.generate.tasks import tasks
from optsched.problem import PlacementProblem
from optsched.report import page
from optsched.report.schedules import schedule_page
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


needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium: apt-get install chromium")


def opened(folder: Path, text: str) -> str:
    """The page as the browser has it after its script ran; it drew something, and refused nothing.

    A blank page of this size packs into less than 10 kB.
    """
    file, shot = folder / "report.html", folder / "report.png"
    file.write_text(text, "utf-8")
    done = subprocess.run(
        [
            str(BROWSER),
            *FLAGS,
            f"--user-data-dir={folder / 'profile'}",
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
    assert "<title>owned</title>" not in done.stdout
    assert "Content Security Policy" not in done.stderr
    assert shot.stat().st_size > 20_000
    return done.stdout


@needs_browser
def test_opens_in_a_browser(
    tmp_path: Path, small_cluster: PlacementProblem, answer: Result
) -> None:
    """The page renders, its own script runs, and a script in a name does not."""
    hostile = small_cluster.replace(
        items=replace(small_cluster.items, names=(HOSTILE, *small_cluster.items.names[1:])),
        name=HOSTILE,
    )
    plan = replace(answer.plan, problem=hostile.digest())
    assert "shop/cart-1" in opened(tmp_path, page(hostile, replace(answer, plan=plan)))


@needs_browser
def test_schedules_open_in_a_browser(tmp_path: Path) -> None:
    """The same of tasks: chart, map of load and tables."""
    drawn = tasks(3, nodes=5, count=20)
    named = replace(drawn.tasks, names=(HOSTILE, *drawn.tasks.names[1:]))
    problem = drawn.replace(tasks=named, name=HOSTILE)
    shown = opened(tmp_path, schedule_page(problem, schedule(problem, solver="greedy")))
    assert shown.count('role="img"') == 2
    assert all(name in shown for name in problem.nodes.names)
    assert shown.count('class="ruler"') == 2
    assert 'class="name">traffic-' in shown
