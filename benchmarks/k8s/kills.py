"""The executor is killed at every step that it persists: is anything lost, done twice, left behind?

    python -m benchmarks.k8s.kills --table benchmarks/results/kills.md

A plan of two waves, on the fake API server beside controllers, kubelets and a scheduler. Before and
after each write the executor ends as by kill -9: nothing after that point runs, what it had in
memory is gone, and a new one starts from what the API server holds. Each step is tried with several
seeds of the others' behaviour, steered by the extender's filter and by scheduling gates. The server
counts evictions and what budgets did not allow.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "k8s"))

from random_worlds import Story, killed_at

from benchmarks import machine
from benchmarks.markdown import markdown
from optsched.k8s.gates import GATE


def main() -> None:
    """Kill at every step and write the page."""
    parser = argparse.ArgumentParser(prog="kills", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=5, help="per step; default 5")
    parser.add_argument("--table", type=Path, help="write the table here, as markdown")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    rows: list[list[object]] = [
        [
            "steered by", "steps", "kills", "Done", "evictions", "evicted twice",
            "beyond a budget", "owners short of pods", "tables, slots, nominations, gates left",
        ]
    ]  # fmt: skip
    for name, gates in (("filter", ""), ("gates", GATE)):
        steps = _tell(0, 0, gates).steps
        stories = [
            _tell(step, seed, gates) for step in range(1, steps + 1) for seed in range(args.seeds)
        ]
        rows.append(_row(name, steps, stories))
    page = f"# Killed at every step\n\n{machine.header('aiohttp')}\n\n{markdown(rows)}"
    print(page)
    if args.table:
        args.table.write_text(page)


def _tell(step: int, seed: int, gates: str) -> Story:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(killed_at(step, Path(folder), gates, seed))


def _row(name: str, steps: int, stories: list[Story]) -> list[object]:
    return [
        name,
        steps,
        sum(one.kills for one in stories),
        sum(one.phase == "Done" for one in stories),
        sum(one.evictions for one in stories),
        sum(one.doubles for one in stories),
        sum(len(one.violations) for one in stories),
        sum(len(one.lost) for one in stories),
        sum(len(one.leftovers) for one in stories),
    ]


if __name__ == "__main__":
    main()
