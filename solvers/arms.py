"""A measurement: an agent and what stands beside it, one after another on the same instances."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from optsched.errors import UnsupportedError

P = TypeVar("P")  # problem
A = TypeVar("A")  # answer
S = TypeVar("S")  # solver
R = TypeVar("R")  # what is kept of an answer


def silent(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Arm(Generic[P, A]):
    """What answers: `answer` takes the problem and its seed, `supports` says why not, or None."""

    answer: Callable[[P, int], A]
    supports: Callable[[P], str | None] = lambda problem: None


def with_agent(
    policy: Callable[..., S], episode: float, best_of: float | None, others: Mapping[str, S],
    seconds: float,
) -> dict[str, tuple[S, float]]:  # fmt: skip
    """Solvers and their seconds: the agent's one episode, the best in `best_of`, the others."""
    arms = {"agent": (policy(episodes=1), episode)}
    if best_of is not None:
        arms[f"agent, best in {best_of:g} s"] = policy(), best_of
    return arms | {name: (solver, seconds) for name, solver in others.items()}


def measure(
    arms: Mapping[str, Arm[P, A]],
    seeds: Iterable[int],
    draw: Callable[[int], P],
    keep: Callable[[int, P], Callable[[A, float], R]],
    say: Callable[[str], None],
    leave: Callable[[str], None] = silent,
) -> dict[str, list[R]]:
    """Every arm on every instance.

    Parameters
    ----------
    draw
        The instance of a seed.
    keep
        Called once for an instance; gives what turns an answer and its seconds into a row.
    leave
        Told why an arm is left out that cannot serve such instances.

    Raises
    ------
    UnsupportedError
        The first arm cannot serve such instances.
    """
    found: dict[str, list[R]] = {name: [] for name in arms}
    for at, seed in enumerate(seeds):
        say(f"instance {at + 1}")
        problem = draw(seed)
        row = keep(seed, problem)
        for name, arm in arms.items():
            refusal = arm.supports(problem) if name in found else None
            if refusal is not None:
                told = f"{name!r} cannot serve these instances: {refusal}"
                if name == next(iter(arms)):
                    raise UnsupportedError(told)
                leave(told)
                del found[name]
            if name not in found:
                continue
            begun = time.perf_counter()
            answer = arm.answer(problem, seed)
            found[name].append(row(answer, time.perf_counter() - begun))
    return found
