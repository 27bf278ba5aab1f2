"""A run that takes seconds."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def small() -> dict[str, Any]:
    """Its hyperparameters."""
    from optsched.agents.hyperparameters import read

    changes = {
        "env_kwargs.pms": "16", "env_kwargs.moves": "6", "env_kwargs.load": "middle",
        "clone.rounds": "3", "clone.jobs_per_round": "6", "clone.updates_per_round": "4",
        "clone.smaller": "0.0", "clone.batch_size": "32", "clone.follow_from": "1",
        "n_timesteps": "64", "n_envs": "2",
        "n_steps": "16", "batch_size": "16", "n_epochs": "1", "validate.every": "1",
        "validate.instances": "4", "tilt.rounds": "1", "tilt.population": "3",
        "tilt.instances": "2", "correct.rounds": "2", "correct.episodes": "6", "correct.kept": "6",
        "correct.updates": "3",
    }  # fmt: skip
    return read("vm-rescheduling", None, changes)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Torch on one thread: on small tables more only get in each other's way."""
    import torch

    torch.set_num_threads(1)
