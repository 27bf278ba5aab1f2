"""The makers of task problems."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from optsched.tasks import TaskProblem


@pytest.fixture(scope="session")
def tiny_tasks() -> Callable[[Random, int], TaskProblem]:
    """The one of tests/tasks."""
    path = Path(__file__).resolve().parents[2] / "tasks" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tasks_conftest", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Callable[[Random, int], TaskProblem] = module.tiny_tasks
    return made
