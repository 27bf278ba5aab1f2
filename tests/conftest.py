"""Fixtures and settings shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# No deadline: how long an example takes says more about the machine than about the code.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def data_path() -> Callable[[str], Path]:
    """Finder of public data: a path below the data folder, or a skip where it is absent."""
    root = Path(os.environ.get("OPTSCHED_DATA") or ROOT.parent / "shared" / "data")

    def find(relative: str = "") -> Path:
        path = root / relative
        if not path.exists():
            pytest.skip(
                f"no {relative or 'public data'} here: set OPTSCHED_DATA to the data folder"
            )
        return path

    return find


@pytest.fixture(scope="session")
def data_dir(data_path: Callable[[str], Path]) -> Path:
    """Folder of public data; a test that needs it skips where it is absent."""
    return data_path("")
