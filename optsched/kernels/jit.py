"""`jit`: numba's compiler if it is there, else the plain Python function.

The plain function is the twin that tests compare the compiled one with. Compiled code is cached
beside the sources (or in NUMBA_CACHE_DIR); the first use after an installation takes some seconds.
A kernel holds the code of the kernels that it calls, also of other modules, so what is cached
counts as long as none of these modules changes; numba by itself looks at the function's own file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_SIBLINGS = re.compile(r"^from \.(\w*) import ([\w ,]+)?", re.MULTILINE)


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
    cached: Any = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    if hasattr(cached, "_source_stamp"):  # numba's own: when the function's file was changed
        setattr(cached, "_source_stamp", source_stamp(function.__code__.co_filename))  # noqa: B010
    return compiled


def plain(function: Function) -> Function:
    """The uncompiled twin of a function that went through `jit`."""
    twin: Function = getattr(function, "py_func", function)
    return twin


@cache
def source_stamp(path: str) -> str:
    """Changes with the text of a module and of all modules of its folder that it imports."""
    texts: dict[Path, bytes] = {}
    ahead = [Path(path)]
    while ahead:
        one = ahead.pop()
        if one not in texts and one.is_file():
            texts[one] = one.read_bytes()
            for module, names in _SIBLINGS.findall(texts[one].decode()):
                found = [module] if module else re.findall(r"(\w+)(?: as \w+)?", names)
                ahead += [one.with_name(f"{name}.py") for name in found]
    digest = blake2b(digest_size=16)
    for one in sorted(texts):
        digest.update(one.name.encode() + b"\0" + texts[one])
    return digest.hexdigest()
