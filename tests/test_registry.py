"""Names of solvers and formats."""

from __future__ import annotations

import subprocess
import sys

import pytest

from optsched import registry
from optsched.errors import MissingExtraError, UnsupportedError
from optsched.problem import Hosts, Items, PlacementProblem


@pytest.mark.parametrize("name", sorted(registry.SOLVERS))
def test_every_solver_is_there(name: str) -> None:
    """Each name gives a solver that goes by it and says whether it serves a problem."""
    solver = registry.solver(name)
    assert solver.name == name
    refusal = solver.supports(PlacementProblem.of(Hosts.of([[1]]), Items.of([[1]])))
    words = {"fragments": "fragments", "fragments-greedy": "fragments", "policy": "may be moved"}
    assert refusal is None or words[name] in refusal


@pytest.mark.parametrize("name", sorted(registry.FORMATS))
def test_every_format_is_there(name: str) -> None:
    """Each name can be loaded."""
    assert callable(registry.find(registry.FORMATS, name, "format"))


def test_unknown_names_get_a_hint() -> None:
    """The nearest name is proposed, and all are listed."""
    with pytest.raises(UnsupportedError) as error:
        registry.solver("portfolo")
    assert "no solver 'portfolo'; did you mean 'portfolio'?" in str(error.value)
    assert "counts, fragments, fragments-greedy, greedy" in str(error.value)


def test_missing_packages_name_their_extra() -> None:
    """What needs an optional dependency says how to install it; what is not ours is not there."""
    with pytest.raises(MissingExtraError, match=r"'no_such_package': pip install 'optsched\[rl\]'"):
        registry.load("no_such_package:thing", "rl")
    with pytest.raises(UnsupportedError, match="is not part of this installation"):
        registry.load("optsched.no_such_module:thing")


def test_nothing_is_imported_early() -> None:
    """The table alone loads no solver."""
    code = "import sys, optsched.registry; print([m for m in sys.modules if 'ortools' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
