"""Hyperparameters are what a training knows, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")

from optsched.agents.hyperparameters import read, schedule
from optsched.errors import InputError


def test_hyperparameters_are_checked(tmp_path: Path) -> None:
    """Unknown names, wrong values and files that are none are refused."""
    for changes, word in (
        ({"clone.round": "3"}, r"no hyperparameter 'clone.round' \(there are: rounds, "),
        ({"clones.n_timesteps": "3"}, r"'clones.n_timesteps' \(there are: env_kwargs, "),
        ({"clone.rounds.first": "3"}, "no hyperparameter 'clone.rounds.first'$"),
        ({"clone.rounds": "-1"}, "clone.rounds cannot be -1"),
        ({"clone.rounds": "many"}, "clone.rounds cannot be 'many'"),
        ({"clone.learning_rate": "lin_fast"}, "no number"),
        ({"learning_rate": ".inf"}, "'inf' is no rate"),
        ({"learning_rate": "lin_-1"}, "'lin_-1' is no rate"),
        ({"validate.every": "0"}, "at least 1"),
        ({"n_steps": "0"}, "at least 1"),
        ({"n_steps": "1", "n_envs": "1"}, "a rollout of 1 steps in batches of 100 leaves"),
        ({"n_steps": "50", "n_envs": "2", "batch_size": "33"}, "leaves a batch of one"),
        ({"batch_size": "1"}, "leaves a batch of one"),
        ({"tilt.population": "0"}, "tilt.population is at least 1"),
        ({"clone.pool": "0"}, "clone.pool is at least 1"),
        ({"n_epochs": "2.5"}, "n_epochs cannot be 2.5"),
        ({"gamma": "high"}, "gamma cannot be 'high'"),
        ({"clip_range": ".nan"}, "clip_range cannot be nan"),
    ):
        with pytest.raises(InputError, match=word):
            read("vm-rescheduling", None, changes)
    with pytest.raises(InputError, match="there are vm-rescheduling"):
        read("vms", None, {})
    with pytest.raises(InputError, match="cannot be read"):
        read("vm-rescheduling", tmp_path / "none.yml", {})
    (tmp_path / "bad.yml").write_text("a: [")
    with pytest.raises(InputError, match="no YAML"):
        read("vm-rescheduling", tmp_path / "bad.yml", {})
    (tmp_path / "other.yml").write_text("CartPole-v1: {}")
    with pytest.raises(InputError, match="has nothing for"):
        read("vm-rescheduling", tmp_path / "other.yml", {})
    assert schedule("lin_0.5")(0.5) == 0.25
    assert schedule(0.5)(0.1) == 0.5
