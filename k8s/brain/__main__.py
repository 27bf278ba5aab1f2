"""`python -m optsched.k8s.brain [CONFIG]`: the brain, as `optsched serve` starts it."""

from __future__ import annotations

import sys

from optsched.k8s.configuration import Watched
from optsched.k8s.parent import run_part


def serve(watched: Watched) -> None:
    """Load what serving takes, and serve."""
    from optsched.k8s.brain.process import serve

    serve(watched)


if __name__ == "__main__":
    sys.exit(run_part(serve, sys.argv[1:]))
