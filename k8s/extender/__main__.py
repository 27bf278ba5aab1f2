"""`python -m optsched.k8s.extender [CONFIG]`: the front end, as `optsched serve` starts it."""

from __future__ import annotations

import sys

from optsched.errors import OptschedError
from optsched.k8s.configuration import Watched
from optsched.k8s.logs import set_up
from optsched.k8s.parent import end_with_parent


def main(arguments: list[str]) -> int:
    """Serve; 2 if the configuration or an installation is at fault."""
    end_with_parent()
    try:
        watched = Watched(arguments[0] if arguments else None)
        set_up(watched.current.logging)
        from optsched.k8s.extender.server import serve

        serve(watched)
    except OptschedError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
