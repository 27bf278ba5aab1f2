"""A process of the service ends with the one that started it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from optsched.k8s.parent import VARIABLE, end_with_parent, starting

from .conftest import PATIENCE, gone, until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="no such signal on this system")
BUSY = "while True: pass"
# The solver's process waits for requests; then, were it not for this, it would see its input end.
CHILDREN = {
    "busy": ["-c", f"from optsched.k8s.parent import *\nend_with_parent()\nprint()\n{BUSY}"],
    "solver": ["-m", "optsched.k8s.planner.child", str(1 << 30), "eager"],
}
PARENT = """
import os, subprocess, sys
from optsched.k8s.parent import starting
reader, writer = os.pipe()  # its end stays open for the child, so that the input never ends
child = subprocess.Popen(
    [sys.executable, *sys.argv[1:]],
    stdin=reader, pass_fds=[writer], stdout=subprocess.PIPE, env=starting(),
)
child.stdout.read(1)
print(child.pid, flush=True)
input()
"""


@pytest.mark.parametrize("child", CHILDREN)
def test_a_child_dies_with_its_parent(child: str) -> None:
    """Though it is busy, or waits for an input that does not end."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, *CHILDREN[child]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=starting(),
    )
    assert parent.stdout is not None
    number = int(parent.stdout.readline())
    assert not gone(number)
    parent.kill()
    parent.wait(PATIENCE)
    until(lambda: gone(number))


def test_one_whose_parent_has_gone_already_ends() -> None:
    """It was given the name of a process that did not start it."""
    code = "from optsched.k8s.parent import end_with_parent\nend_with_parent()\nprint('lives')"
    for parent, lives in ((str(os.getpid()), True), ("1", os.getpid() == 1), ("", True)):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, VARIABLE: parent},
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout == "lives\n") is lives, parent


def test_without_a_name_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service may be started by anybody; and the name is for one process alone."""
    monkeypatch.delenv(VARIABLE, raising=False)
    end_with_parent()
    assert starting({})[VARIABLE] == str(os.getpid())
    monkeypatch.setenv(VARIABLE, str(os.getppid()))
    end_with_parent()
    assert VARIABLE not in os.environ
