"""Where changes are checked, the tests of training run."""

from __future__ import annotations

import os

import pytest

from optsched.agents import needed


@pytest.mark.skipif(not os.environ.get("CI"), reason="without CI=true these tests may skip")
def test_nothing_skips_in_ci() -> None:
    """With CI=true all that training needs is installed, so no test of agents skips."""
    needed()
