"""`python benchmarks/feasibility DIR` runs `run.py`."""

import sys

from run import main

sys.exit(main())
