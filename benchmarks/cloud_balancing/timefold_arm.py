"""Timefold on a cloud balancing file, in a process of its own (it runs in a Java machine).

    python timefold_arm.py FILE SECONDS

prints {"assignment": {process id: computer id}, "seconds": s}. Needs the package `timefold` and a
JDK 17, and nothing of optsched, so that any interpreter that has them can run it.

The model is the published one: capacity overflow is hard, the cost of computers in use is soft.
"""

import json
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from timefold.solver import SolverFactory
from timefold.solver.config import (
    Duration,
    ScoreDirectorFactoryConfig,
    SolverConfig,
    TerminationConfig,
)
from timefold.solver.domain import (
    PlanningEntityCollectionProperty,
    PlanningId,
    PlanningScore,
    PlanningVariable,
    ProblemFactCollectionProperty,
    ValueRangeProvider,
    planning_entity,
    planning_solution,
)
from timefold.solver.score import (
    ConstraintCollectors,
    ConstraintFactory,
    HardSoftScore,
    Joiners,
    constraint_provider,
)


@dataclass
class Computer:
    """What has capacity."""

    id: Annotated[int, PlanningId]
    cpu: int
    memory: int
    network: int
    cost: int


@planning_entity
@dataclass
class Process:
    """What is placed."""

    id: Annotated[int, PlanningId]
    cpu: int
    memory: int
    network: int
    computer: Annotated[Computer | None, PlanningVariable] = field(default=None)


@planning_solution
@dataclass
class Balance:
    """The problem and, after solving, its solution."""

    computers: Annotated[list[Computer], ProblemFactCollectionProperty, ValueRangeProvider]
    processes: Annotated[list[Process], PlanningEntityCollectionProperty]
    score: Annotated[HardSoftScore | None, PlanningScore] = field(default=None)


@constraint_provider
def constraints(factory: ConstraintFactory) -> list[Any]:
    """Overflow per resource, hard; cost of each computer that holds a process, soft."""
    return [
        (
            factory.for_each(Process)
            .group_by(
                lambda process: process.computer,
                ConstraintCollectors.sum(lambda process: process.cpu),
            )
            .filter(lambda computer, used: used > computer.cpu)
            .penalize(HardSoftScore.ONE_HARD, lambda computer, used: used - computer.cpu)
            .as_constraint("cpu")
        ),
        (
            factory.for_each(Process)
            .group_by(
                lambda process: process.computer,
                ConstraintCollectors.sum(lambda process: process.memory),
            )
            .filter(lambda computer, used: used > computer.memory)
            .penalize(HardSoftScore.ONE_HARD, lambda computer, used: used - computer.memory)
            .as_constraint("memory")
        ),
        (
            factory.for_each(Process)
            .group_by(
                lambda process: process.computer,
                ConstraintCollectors.sum(lambda process: process.network),
            )
            .filter(lambda computer, used: used > computer.network)
            .penalize(HardSoftScore.ONE_HARD, lambda computer, used: used - computer.network)
            .as_constraint("network")
        ),
        (
            factory.for_each(Computer)
            .if_exists(
                Process, Joiners.equal(lambda computer: computer, lambda process: process.computer)
            )
            .penalize(HardSoftScore.ONE_SOFT, lambda computer: computer.cost)
            .as_constraint("cost")
        ),
    ]


def read(path: Path) -> Balance:
    """The problem in the file."""
    document = json.loads(path.read_text())
    computers = [
        Computer(c["id"], c["cpuPower"], c["memory"], c["networkBandwidth"], c["cost"])
        for c in document["computerList"]
    ]
    keys = ("requiredCpuPower", "requiredMemory", "requiredNetworkBandwidth")
    processes = [Process(p["id"], *(p[key] for key in keys)) for p in document["processList"]]
    return Balance(computers, processes)


def main(path: str, seconds: str) -> None:
    """Solve and print the assignment."""
    problem = read(Path(path))
    config = SolverConfig(
        solution_class=Balance,
        entity_class_list=[Process],
        score_director_factory_config=ScoreDirectorFactoryConfig(
            constraint_provider_function=constraints
        ),
        termination_config=TerminationConfig(
            spent_limit=Duration(milliseconds=round(1000 * float(seconds)))
        ),
    )
    solver = SolverFactory.create(config).build_solver()
    begun = time.monotonic()
    solution = solver.solve(problem)
    spent = time.monotonic() - begun
    assignment = {p.id: p.computer.id if p.computer else None for p in solution.processes}
    print(json.dumps({"assignment": assignment, "seconds": spent}))


if __name__ == "__main__":
    main(*sys.argv[1:])
