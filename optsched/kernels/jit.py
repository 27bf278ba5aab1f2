"""`jit`: numba's compiler if it is there, else the plain Python function.

The plain function is the twin that tests compare the compiled one with. Compiled code is cached
beside the sources (or in NUMBA_CACHE_DIR); the first use after an installation takes some seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

try:
    if os.environ.get("OPTSCHED_NO_JIT"):
        raise ImportError
    import numba
except ImportError:  # numba is optional: without it everything works, but slowly
    numba = None

COMPILED = numba is not None


def jit(function: Function) -> Function:
    """Compile `function` (cached, without the interpreter lock), or return it as it is."""
    if numba is None:
        return function
    compiled: Function = numba.njit(cache=True, nogil=True)(function)
    return compiled


def plain(function: Function) -> Function:
    """The uncompiled twin of a function that went through `jit`."""
    twin: Function = getattr(function, "py_func", function)
    return twin
