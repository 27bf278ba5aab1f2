"""Where the public data lie that some benchmarks read."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def data_path(relative: str) -> Path:
    """A path below the data folder, or SystemExit with one sentence where it is absent."""
    root = Path(os.environ.get("OPTSCHED_DATA") or ROOT.parent / "shared" / "data")
    path = root / relative
    if not path.exists():
        raise SystemExit(f"no {relative} here: set OPTSCHED_DATA to the data folder")
    return path
