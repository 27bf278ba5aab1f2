"""Both versions of a kernel: compiled, where numba is there, and plain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from optsched.kernels.jit import plain


@pytest.fixture(params=["compiled", "plain"])
def version(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """Gives the version of a kernel that is under test."""
    return plain if request.param == "plain" else lambda function: function
