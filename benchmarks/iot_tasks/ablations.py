"""What each part of the hybrid brings: the agent's belief, pheromone, local search and elites.

    python -m benchmarks.iot_tasks.ablations --instances 30 --out ablations.md

Every arm gets the same held-out instances, the same wall time on one thread, and what it has left
over from the agent's episode for its ants. Values are the weighted sum of response, energy and
lateness: of the full hybrid over that of EFT, of the others over that of the full hybrid on the
same instance (above 1: worse for what it lacks), with 95 % intervals of the mean. "untrained" has
the weights with which training begins, which is EFT.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import clock
from benchmarks.machine import header, load
from benchmarks.markdown import markdown
from optsched.budget import Budget
from optsched.envs.seeds import seeds
from optsched.kernels import views, warm_schedules
from optsched.solvers.scheduling import RULES
from optsched.solvers.scheduling import agent as agents
from optsched.solvers.scheduling.agent import TaskAgent, play
from optsched.solvers.scheduling.colony import ELITES, Colony, Settings
from optsched.solvers.scheduling.learned import BATCH, WARMTH, belief
from optsched.solvers.scheduling.measuring import Case, interval
from optsched.solvers.scheduling.solvers import best_of
from optsched.tasks import Schedule, TaskProblem, evaluate

WHOLE = "full"
GREED = 20.0  # of untrained weights, see `agents.placement_network`


class _Untrained:
    """The session of a network that has learned nothing: twice as late is `GREED` log 2 less."""

    def run(
        self, names: list[str], inputs: dict[str, np.ndarray], options: Any = None
    ) -> list[np.ndarray]:
        """Scores, as the network gives them before training."""
        del names
        nodes = inputs["nodes"]
        rest = np.broadcast_to(np.array([-6.0, -12.0], np.float32), (len(nodes), 2))
        return [np.concatenate([-GREED * nodes[..., views.EFT], rest], axis=1)]


def ants(
    agent: TaskAgent | None, settings: Settings | None = None, *, elites: bool = True
) -> Callable[[TaskProblem, Budget, int], Schedule]:
    """A colony, led by an agent or by nobody."""

    def solve(problem: TaskProblem, budget: Budget, seed: int) -> Schedule:
        scorer, given = None, [RULES[name](problem, seed) for name in ELITES] if elites else []
        if agent is not None:
            first = play(agent, problem, budget.share(0.5))
            worth = belief(first.chances)

            def scorer(_: TaskProblem) -> np.ndarray:
                return worth

            given += first.schedules if elites else []
        colony = Colony(problem, seed, elites=given, scorer=scorer, settings=settings)
        return best_of(problem, [colony.run(budget), *given])

    return solve


def sampled(agent: TaskAgent) -> Callable[[TaskProblem, Budget, int], Schedule]:
    """The best of as many episodes as there is time for, without pheromone."""

    def solve(problem: TaskProblem, budget: Budget, seed: int) -> Schedule:
        found, at = play(agent, problem, budget).schedules, 1
        while not budget.over():
            more = play(agent, problem, budget, times=BATCH, seed=seed + at, warmth=WARMTH)
            found, at = [best_of(problem, [*found, *more.schedules])], at + BATCH
        return best_of(problem, found)

    return solve


def arms(file: str | None) -> dict[str, Callable[[TaskProblem, Budget, int], Schedule]]:
    """By name."""
    trained, plain = agents.load(file), Settings()
    untrained: Any = TaskAgent(_Untrained(), {})
    return {
        WHOLE: ants(trained),
        "ants alone": ants(None),
        "untrained and ants": ants(untrained),
        "belief as heuristic alone": ants(trained, replace(plain, belief="heuristic")),
        "belief as first pheromone alone": ants(trained, replace(plain, belief="pheromone")),
        "agent, best of many": sampled(trained),
        "agent, one episode": lambda problem, budget, _: play(trained, problem, budget).schedules[
            0
        ],
        "no local search": ants(trained, replace(plain, steps=0)),
        "no elites": ants(trained, elites=False),
    }


def main() -> None:
    """Run and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agent", help="ONNX file; default: the shipped one")
    parser.add_argument("--instances", type=int, default=30)
    parser.add_argument("--limits", type=float, nargs="+", default=[0.05, 1.0], help="s")
    parser.add_argument("--nodes", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--loads", type=float, nargs="+", default=[0.8, 1.1])
    parser.add_argument("--clock", choices=("wall", "processor"), default="wall")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    warm_schedules()
    if arguments.clock == "processor":
        clock.by_processor()
    before = load()
    given, own = arms(arguments.agent), seeds("heldout")[: arguments.instances]
    head = ["nodes", "load", "limit, s", *given]
    lines: list[list[object]] = []
    for nodes, rate, limit in product(arguments.nodes, arguments.loads, arguments.limits):
        ratios: dict[str, list[float]] = {name: [] for name in given}
        for seed in own:
            problem = Case(nodes, 60, rate, True).problem(seed)
            eft = evaluate(problem, RULES["eft"](problem, 0)).levels[0]
            for name, solve in given.items():
                found = solve(problem, Budget.of(limit), seed)
                ratios[name].append(evaluate(problem, found).levels[0] / eft)
        shown = []
        for name in given:
            values = np.array(ratios[name]) / (1 if name == WHOLE else np.array(ratios[WHOLE]))
            low, high = interval(values)
            shown.append(f"{values.mean():.4f} [{low:.4f}, {high:.4f}]")
        lines.append([nodes, rate, limit, *shown])
        print(*lines[-1], flush=True)
    page = "\n".join(
        [
            "# Ablations of the hybrid for tasks\n",
            " ".join(__doc__.split("\n\n")[2].split()) + "\n",
            header(
                instances=arguments.instances, clock_of_limits=arguments.clock,
                load=f"{before:.1f} processes a core before the run, {load():.1f} at its end",
            )
            + "\n",
            markdown([head, *lines]),
        ]
    )  # fmt: skip
    print(page)
    if arguments.out:
        arguments.out.write_text(page)


if __name__ == "__main__":
    main()
