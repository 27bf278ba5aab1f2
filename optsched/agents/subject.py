"""What a training run needs to know of a problem; everything else is the same for all problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from sb3_contrib import MaskablePPO
from torch import Tensor, nn

from optsched import registry
from optsched.agents import PROBLEMS
from optsched.errors import InputError


class Course(Protocol):
    """Cloning of an expert, round by round.

    Attributes
    ----------
    round
        How many rounds are done.
    """

    round: int

    def rounds(self, stop: Callable[[], bool]) -> Iterator[float]:
        """The loss of every round that is left."""
        ...

    def state(self) -> dict[str, Any]:
        """What a resumed run needs, as tensors and plain values."""
        ...

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        ...


class Measure(Protocol):
    """Instances that are not trained on."""

    def gap(self, network: nn.Module) -> float:
        """How far from the best the network's best choices end, on average; less is better."""
        ...


@dataclass(frozen=True)
class Graph:
    """What an exported file reads and answers.

    Attributes
    ----------
    inputs, axes
        Examples of the inputs by name, and the names of their axes that may have any size.
    outputs
        Names of what the network answers.
    tables
        Numbers by which a program sees whether it shows what the file reads.
    """

    inputs: dict[str, Tensor]
    axes: dict[str, dict[int, str]]
    outputs: list[str]
    tables: list[int]


class Subject(Protocol):
    """A problem that agents are trained for."""

    environment: str

    def network(self) -> nn.Module:
        """An untrained one."""
        ...

    def course(self, network: Any, config: dict[str, Any], seed: int, workers: int) -> Course:
        """Cloning with the hyperparameters of a run, teachers in so many processes."""
        ...

    def measure(self, config: dict[str, Any]) -> Measure:
        """What is validated on."""
        ...

    def learner(self, config: dict[str, Any], seed: int, device: str, done: int = 0) -> MaskablePPO:
        """A learner on its environments, with the hyperparameters of a run.

        `done` are the steps that it has behind it: what it draws is not what it drew at first.
        """
        ...

    def inside(self, learner: MaskablePPO) -> nn.Module:
        """The network inside a learner."""
        ...

    def graph(self) -> Graph:
        """What an exported file reads and answers."""
        ...


class Stage(Course, Protocol):
    """A course after the others.

    Attributes
    ----------
    total, every
        How many rounds it has, and after how many it is validated.
    """

    total: int
    every: int


@runtime_checkable
class Finishing(Protocol):
    """A subject whose training has further stages."""

    def stages(
        self, network: Any, config: dict[str, Any], seed: int, workers: int
    ) -> dict[str, Stage]:
        """By their names, in their order; each begins with the best weights so far."""
        ...


def subject(problem: str) -> Subject:
    """The subject of a problem.

    Raises
    ------
    InputError
        There is none.
    """
    if problem not in PROBLEMS:
        raise InputError(f"no environment for {problem[:40]!r}; there are {', '.join(PROBLEMS)}")
    found: Subject = registry.load(PROBLEMS[problem].subject)()
    return found
