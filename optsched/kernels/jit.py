"""`jit`: numba's compiler if it is there, else the plain Python function.

The plain function is the twin that tests compare the compiled one with. Compiled code is cached
beside the sources (or in NUMBA_CACHE_DIR); the first use after an installation takes some seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def _compiler() -> Callable[[Any], Any] | None:
    """Numba's compiler; None without numba (everything works, but slowly) or if switched off."""
    if os.environ.get("OPTSCHED_NO_JIT"):
        return None
    try:
        import numba
    except ImportError:
        return None
    compiler: Callable[[Any], Any] = numba.njit(cache=True, nogil=True)
    return compiler


_COMPILER = _compiler()
COMPILED = _COMPILER is not None


def jit(function: Function) -> Function:
    """Compile `function` (cached, without the interpreter lock), or return it as it is."""
    if _COMPILER is None:
        return function
    compiled: Function = _COMPILER(function)
    return compiled


def plain(function: Function) -> Function:
    """The uncompiled twin of a function that went through `jit`."""
    twin: Function = getattr(function, "py_func", function)
    return twin
