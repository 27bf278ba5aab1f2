"""The makers of task problems."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

from optsched.tasks import TaskProblem


def _makers() -> ModuleType:
    path = Path(__file__).resolve().parents[1] / "tasks" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tasks_conftest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_tasks() -> Callable[[Random, int], TaskProblem]:
    """The one of tests/tasks."""
    made: Callable[[Random, int], TaskProblem] = _makers().tiny_tasks
    return made


@pytest.fixture
def two_nodes() -> TaskProblem:
    """The one of tests/tasks."""
    made: TaskProblem = _makers().edge_and_cloud()
    return made
