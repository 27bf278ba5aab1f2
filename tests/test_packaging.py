"""The packaging tables say what the tree says."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINKED = ("datasets", "envs", "k8s", "solvers")
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def packages_below(folder: Path) -> set[str]:
    """Dotted names of the folders with an ``__init__.py``, links not followed."""
    return {
        Path(parent).relative_to(ROOT).as_posix().replace("/", ".")
        for parent, _, files in os.walk(folder)
        if "__init__.py" in files
    }


def test_packages_are_complete() -> None:
    """Every package of the tree is listed in pyproject.toml, and nothing else."""
    linked = set().union(*(packages_below(ROOT / name) for name in LINKED))
    tree = packages_below(ROOT / "optsched") | {f"optsched.{name}" for name in linked}
    assert set(SETUPTOOLS["packages"]) == tree | {"optsched.datasets"}


def test_top_level_folders_are_mapped() -> None:
    """Each folder beside optsched is installed inside it."""
    assert SETUPTOOLS["package-dir"] == {
        "optsched": "optsched",
        **{f"optsched.{name}": name for name in LINKED},
    }


@pytest.mark.parametrize("name", LINKED)
def test_links_resolve(name: str) -> None:
    """The links inside optsched lead, relatively, to the folders beside it."""
    if not (ROOT / ".git").exists():
        pytest.skip("links exist in a checkout only")
    assert (ROOT / "optsched" / name).readlink() == Path("..", name)
    assert (ROOT / "optsched" / name).is_dir()


def test_datasets_hold_no_python() -> None:
    """A module in datasets would shadow other packages of that name."""
    assert not list((ROOT / "datasets").rglob("*.py"))
