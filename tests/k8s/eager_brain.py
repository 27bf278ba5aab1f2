"""`python eager_brain.py CONFIG`: the brain, with a solver that yields to nobody.

In a pod the solver yields to the other parts of the service alone; here it would yield to all that
the machine does, and where that never ends, never answer.
"""

from __future__ import annotations

import functools
import sys

from optsched.k8s.brain import process
from optsched.k8s.parent import run_part

if __name__ == "__main__":
    process.Solving = functools.partial(process.Solving, polite=False)  # type: ignore[misc, assignment]
    sys.exit(run_part(process.serve, sys.argv[1:]))
