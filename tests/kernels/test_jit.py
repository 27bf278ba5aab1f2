"""Everything works without numba, slowly."""

from __future__ import annotations

import subprocess
import sys

from optsched.kernels.jit import jit, plain


def test_the_plain_twin_is_the_function_itself() -> None:
    """What `jit` wrapped can be had back; what it did not wrap is its own twin."""

    def twice(x: int) -> int:
        return 2 * x

    assert plain(jit(twice)) is twice
    assert plain(twice) is twice


def test_compilation_can_be_switched_off() -> None:
    """With OPTSCHED_NO_JIT set, numba is not even imported, and kernels run."""
    code = (
        "import os, sys; os.environ['OPTSCHED_NO_JIT'] = '1'\n"
        "import numpy as np\n"
        "from optsched.kernels import jit, pricing\n"
        "one = np.ones(1, int)\n"
        "found = np.zeros((1, 1), int)\n"
        "answer = pricing.best_pattern(np.ones(1), np.ones((1, 1)), one, one, 0, 9, found)\n"
        "print(jit.COMPILED, 'numba' in sys.modules, *answer)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "1", "1", "1"]
