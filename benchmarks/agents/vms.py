"""How far the agent for VM rescheduling is from the proven optimum, and what helps it or is helped.

    python -m benchmarks.agents.vms --table benchmarks/results/agents_vms.md

Instances are drawn from the held-out seeds, which nothing trains or chooses on. The gap is
(value - bound) / (value of staying - bound) of the share of fragments; bounds are the solver
`fragments`'. The best of as many episodes does not depend on how busy the machine is, so processor
time stands beside it; with `--seconds` there are also arms that end with a time, which need a
machine of their own. Nothing helps the agent: no solver, no local search; fallbacks to greedy are
counted. "untrained" is the same network with random weights, so its best of many is search alone;
"chance" takes any choice that is allowed. The agent has to leave less than half of the gap of
these two and of greedy: where it does not, the page says so and the command ends with 1.

The warm start: solvers from the agent's plan and from nothing, with the same time for both, the
agent's own time taken off. `--before` names another agent, which plays one episode on each of the
same instances: is the difference more than chance?
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.agents.chance import Chance
from benchmarks.agents.untrained import untrained
from benchmarks.markdown import markdown
from optsched import registry
from optsched.api import usable_cores
from optsched.budget import Budget
from optsched.envs.seeds import seeds
from optsched.kernels import warm, warm_migration
from optsched.plan import Order
from optsched.result import Result
from optsched.solvers.evaluation import Case, interval
from optsched.solvers.fragments.exchange import Fragments
from optsched.solvers.policy import Policy

LONG = 600.0  # seconds for what needs a fraction of one
MARGINS = ["beside", "the agent's gap", "its gap", "less than half"]
HEAD = ["instances", "arm", "mean gap", "95 %", "worst", "CPU ms", "episodes", "fallbacks"]
MARGIN = 0.5  # of the others' gaps: what the agent may leave at most
BEATEN = ("untrained, one episode", "chance, one episode", "fragments-greedy")
HIGH = {"279 PMs, high load": Case()}
ELSEWHERE = {
    "middle load": Case(load="middle"),
    "low load": Case(load="low"),
    "1,176 PMs, high load": Case(pms=1176),
    "1,176 PMs, low load": Case(pms=1176, load="low"),
    "1,176 PMs, high load, 200 migrations": Case(pms=1176, moves=200),
    "mixed memory": Case(memory="mixed"),
    "40 PMs, 8 migrations": Case(pms=40, moves=8),
}

Started = tuple[str, Case, str, float]
STARTED: tuple[Started, ...] = (
    ("279 PMs, high load", Case(), "fragments", 0.03),
    ("279 PMs, high load", Case(), "fragments", 0.1),
    ("279 PMs, high load", Case(), "local", 0.5),
    ("279 PMs, high load", Case(), "portfolio", 0.5),
    ("mixed memory", Case(memory="mixed"), "portfolio", 0.5),
)  # what is started from the agent's plan, and the seconds it has


@dataclass(frozen=True)
class Arm:
    """A solver, and the time it has."""

    name: str
    solver: object
    seconds: float


def main() -> None:
    """Measure all and print the page."""
    parser = argparse.ArgumentParser(prog="vms", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--agent", help="ONNX file; default: the one that ships")
    parser.add_argument("--count", type=int, default=24, help="instances of the first table")
    parser.add_argument("--others", type=int, default=12, help="instances of every other kind")
    parser.add_argument("--episodes", type=int, default=64, help="of the arms that sample")
    parser.add_argument(
        "--seconds", type=float, nargs="*", default=[], help="also the best of these times"
    )
    parser.add_argument("--seed", type=int, default=0, help="where in the held-out seeds to begin")
    parser.add_argument("--before", metavar="FILE.onnx", help="another agent to compare with")
    parser.add_argument("--table", type=Path, help="write the page here, as markdown")
    args = parser.parse_args()
    warm()
    warm_migration()
    own, many = seeds("heldout")[args.seed :], args.episodes
    with tempfile.TemporaryDirectory() as folder:
        random = str(untrained("vm-rescheduling", Path(folder)))
        timed = [
            arm
            for seconds in args.seconds
            for arm in (
                Arm(f"agent, best in {seconds:g} s", Policy(args.agent), seconds),
                Arm(f"untrained, best in {seconds:g} s", Policy(random), seconds),
            )
        ]
        arms = [
            Arm("agent, one episode", Policy(args.agent, episodes=1), LONG),
            Arm(f"agent, best of {many}", Policy(args.agent, episodes=many), LONG),
            Arm("untrained, one episode", Policy(random, episodes=1), LONG),
            Arm(f"untrained, best of {many}", Policy(random, episodes=many), LONG),
            *timed,
            Arm("chance, one episode", Chance(), LONG),
            Arm("fragments-greedy", registry.solver("fragments-greedy"), LONG),
            Arm("fragments", Fragments(), LONG),
        ]
        body = table("279 PMs, high load", Case(), own[: args.count], arms)
    found = margins(body)
    few = [arms[0], next(arm for arm in arms if arm.name == "fragments-greedy")]
    for name, case in ELSEWHERE.items():
        body += table(name, case, own[: args.others], few)
    page = "# The agent for VM rescheduling\n\n" + machine.header(
        "onnxruntime", held_out_instances=args.count, of_every_other_kind=args.others,
        load=machine.load(),
    )  # fmt: skip
    page += "\n\n" + markdown([HEAD, *body])
    page += "\n## What has to be beaten\n\n" + markdown([MARGINS, *found])
    if args.before:
        page += "\n## Beside the agent before\n\n" + paired(
            args.agent, args.before, own, args.count
        )
    page += "\n## Warm start of exact solvers\n\n" + warm_start(args.agent, own[: args.others])
    print(page)
    if args.table:
        args.table.write_text(page, "utf-8")
    if any(line[-1] != "yes" for line in found):
        raise SystemExit(1)


def margins(lines: Sequence[Sequence[object]]) -> list[list[object]]:
    """Whether the agent leaves less than `MARGIN` of the gaps of what it has to beat."""
    gaps = {str(line[1]): float(str(line[2]).rstrip("%")) for line in lines}
    own = gaps["agent, one episode"]
    return [
        [name, f"{own:.2f}%", f"{gaps[name]:.2f}%", "yes" if own < MARGIN * gaps[name] else "NO"]
        for name in BEATEN
    ]


def table(name: str, case: Case, own: Sequence[int], arms: Sequence[Arm]) -> list[list[object]]:
    """A line per arm."""
    found: dict[str, list[tuple[float, float, int, int]]] = {arm.name: [] for arm in arms}
    for seed in own:
        problem = case.problem(seed)
        bound = Fragments().solve(problem, Budget.of(60.0), order=Order.SAFE).levels[0].bound
        for arm in arms:
            solver = registry_of(arm.solver)
            solver.supports(problem)
            begun = time.process_time()
            result = solver.solve(
                problem, Budget.of(arm.seconds, workers=usable_cores()), order=Order.SAFE
            )
            spent = time.process_time() - begun
            stats = result.stats
            found[arm.name].append(
                (
                    gap(result, bound), spent, int(stats.get("episodes", 0)),
                    int(stats.get("fallbacks", 0)),
                )
            )  # fmt: skip
    lines: list[list[object]] = []
    for arm in arms:
        gaps, spent, episodes, fallbacks = map(np.array, zip(*found[arm.name], strict=True))
        low, high = interval(gaps)
        lines.append(
            [
                name, arm.name, f"{gaps.mean():.2%}", f"{low:.2%} to {high:.2%}",
                f"{gaps.max():.2%}", f"{1e3 * spent.mean():.0f}",
                f"{episodes.mean():.0f}" if episodes.any() else "", int(fallbacks.sum()),
            ]
        )  # fmt: skip
    return lines


def registry_of(solver: object) -> Policy:
    """The solver, as what all solvers look like."""
    found: Policy = solver  # type: ignore[assignment]
    return found


def gap(result: Result, bound: int) -> float:
    """Of the first level."""
    level = result.levels[0]
    gain = level.stay - bound
    return (level.value - bound) / gain if gain > 0 else 0.0


def paired(
    agent: str | None,
    before: str,
    own: Sequence[int],
    count: int,
    cases: Mapping[str, Case] = HIGH | ELSEWHERE,
) -> str:
    """One episode of both on the same instances, and the mean difference with its interval."""
    rows: list[list[object]] = [["instances", "count", "now", "before", "difference", "95 %"]]
    for name, case in cases.items():
        gaps: list[list[float]] = [[], []]
        few = count if name in HIGH else max(count // 4, 2)
        for seed in own[:few]:
            problem = case.problem(seed)
            bound = Fragments().solve(problem, Budget.of(60.0), order=Order.SAFE).levels[0].bound
            for found, file in zip(gaps, (agent, before), strict=True):
                policy = Policy(file, episodes=1)
                found.append(gap(policy.solve(problem, Budget.of(LONG), order=Order.SAFE), bound))
        now, old = np.array(gaps)
        low, high = interval(now - old)
        rows.append(
            [
                name, few, f"{now.mean():.2%}", f"{old.mean():.2%}", f"{(now - old).mean():+.2%}",
                f"{low:+.2%} to {high:+.2%}",
            ]
        )  # fmt: skip
    return markdown(rows)


def warm_start(agent: str | None, own: Sequence[int], started: Sequence[Started] = STARTED) -> str:
    """Solvers with the agent's plan and without, the same time in all."""
    rows: list[list[object]] = [
        [
            "instances", "solver", "time", "gap alone", "gap from the agent's plan",
            "proven alone", "proven from it",
        ]
    ]  # fmt: skip
    for kind, case, name, seconds in started:
        solver = registry.solver(name)
        alone, helped, proofs = [], [], [0, 0]
        for seed in own:
            problem = case.problem(seed)
            bound = Fragments().solve(problem, Budget.of(60.0), order=Order.SAFE).levels[0].bound
            policy = Policy(agent, episodes=1)
            policy.supports(problem)
            budget = Budget.of(seconds, workers=usable_cores())
            one = solver.solve(problem, budget, order=Order.SAFE)
            begun = time.perf_counter()
            plan = policy.solve(problem, Budget.of(LONG), order=Order.SAFE).plan
            left = max(seconds - (time.perf_counter() - begun), 0.0)
            budget = Budget.of(left, workers=usable_cores())
            other = solver.solve(problem, budget, start=plan, order=Order.SAFE)
            for at, result in enumerate((one, other)):
                proofs[at] += result.levels[0].value <= result.levels[0].bound
            alone.append(gap(one, bound))
            helped.append(gap(other, bound))
        rows.append(
            [
                kind, name, f"{seconds:g} s", f"{np.mean(alone):.2%}", f"{np.mean(helped):.2%}",
                f"{proofs[0]} of {len(own)}", f"{proofs[1]} of {len(own)}",
            ]
        )  # fmt: skip
    return markdown(rows)


if __name__ == "__main__":
    main()
