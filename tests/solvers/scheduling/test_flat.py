"""Task problems as the compiled loops read them."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from optsched.generate.tasks import tasks as draw
from optsched.kernels import schedules, warm_schedules
from optsched.kernels.jit import COMPILED
from optsched.snapshot.task_files import decode_tasks, encode_tasks
from optsched.solvers.scheduling.flat import tables
from optsched.solvers.scheduling.rules import RULES
from optsched.tasks import TaskProblem


@pytest.mark.skipif(not COMPILED, reason="without numba nothing is compiled")
def test_all_problems_are_of_one_type_for_the_compiler(
    tiny_tasks: Callable[[Random, int], TaskProblem],
) -> None:
    """What is compiled when kernels are warmed serves problems of every origin."""
    import numba

    warm_schedules()
    drawn = draw(2, nodes=4, count=6)
    every = (drawn, drawn.replace(name="b"), decode_tasks(encode_tasks(drawn)))
    every += tuple(tiny_tasks(Random(seed), 4) for seed in range(9))  # some with precedences
    assert any(len(problem.tasks.before) for problem in every)
    for problem in every:
        RULES["eft"](problem, 0)
    used = {signature[0] for signature in schedules.goals.signatures}  # type: ignore[attr-defined]
    assert used == {numba.typeof(tables(problem)) for problem in every}
    assert len(used) == 1
