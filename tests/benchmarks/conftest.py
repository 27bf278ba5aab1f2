"""Make the benchmarks importable: they are scripts of the checkout, not part of the wheel."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent.parent))
