"""The loop of events does the same compiled and plain."""

from __future__ import annotations

import os
import subprocess
import sys

from optsched.kernels.jit import COMPILED

RUN = """
import numpy as np
from optsched.generate.tasks import tasks
from optsched.kernels.jit import COMPILED
from optsched.simulate import Knobs, World
from optsched.simulate.episodes import Episode, weighed

wild = Knobs(noise=0.4, drift=0.4, stale=2000, failures=300.0, repair=3000)
for seed in range(2):
    problem = weighed(tasks(seed, nodes=5, count=40, load=1.3, burst=True, turns=seed == 1))
    run = Episode(World.of(problem, wild, seed))
    rng, seen = np.random.default_rng(seed), 0.0
    while not run.over:
        seen += float(run.nodes.sum()) + float(run.facts.sum())
        run.step(int(rng.choice(np.flatnonzero(run.mask))))
    print(run.live.task[:5].sum(axis=1), run.live.clock[:7], run.value, f"{seen:.3f}")
    run.reset()
    run.follow()
    print(run.value, COMPILED)
"""


def test_compiled_and_plain_are_equal() -> None:
    """The same episodes, to the last task and the last feature."""
    answers = []
    for off in ("", "1"):
        environment = {**os.environ, "OPTSCHED_NO_JIT": off}
        done = subprocess.run(
            [sys.executable, "-c", RUN], capture_output=True, text=True, check=True, env=environment
        )
        answers.append(done.stdout)
    assert ("True" in answers[0]) == COMPILED
    assert answers[0].replace("True", "False") == answers[1]
