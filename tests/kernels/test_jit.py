"""Everything works without numba, slowly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from optsched.kernels import events, running
from optsched.kernels.jit import COMPILED, jit, plain, source_stamp


def test_the_plain_twin_is_the_function_itself() -> None:
    """What `jit` wrapped can be had back; what it did not wrap is its own twin."""

    def twice(x: int) -> int:
        return 2 * x

    assert plain(jit(twice)) is twice
    assert plain(twice) is twice


def test_compilation_can_be_switched_off() -> None:
    """With OPTSCHED_NO_JIT set, numba is not even imported, and kernels run."""
    code = (
        "import os, sys; os.environ['OPTSCHED_NO_JIT'] = '1'\n"
        "import numpy as np\n"
        "from optsched.kernels import jit, pricing\n"
        "one = np.ones(1, int)\n"
        "found = np.zeros((1, 1), int)\n"
        "answer = pricing.best_pattern(np.ones(1), np.ones((1, 1)), one, one, 0, 9, found)\n"
        "print(jit.COMPILED, 'numba' in sys.modules, *answer)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False", "1", "1", "1"]


def test_stamps_follow_imports(tmp_path: Path) -> None:
    """What is cached of a kernel is old as soon as a module that it calls has changed."""
    texts = {
        "a.py": "from .b import one\n",
        "b.py": "from . import c as x, d\n",
        "c.py": "",
        "d.py": "from .a import two\n",
        "e.py": "from .d import three\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    stamp = lambda: source_stamp.__wrapped__(str(tmp_path / "a.py"))  # noqa: E731
    before = stamp()
    assert stamp() == before
    for name in texts:
        (tmp_path / name).write_text(texts[name] + "# changed\n")
        assert (stamp() != before) == (name != "e.py")
        (tmp_path / name).write_text(texts[name])
    assert stamp() == before


@pytest.mark.skipif(not COMPILED, reason="without numba nothing is cached")
def test_kernels_are_cached_under_their_stamp() -> None:
    """Numba would look at the file of the function alone."""
    cached = events.happen._cache._cache_file  # type: ignore[attr-defined]
    assert cached._source_stamp == source_stamp(events.__file__)
    assert source_stamp(events.__file__) != source_stamp(running.__file__)
