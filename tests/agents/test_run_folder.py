"""Folders of runs: what is there stays whole, and what is not theirs is refused."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")
import torch

from optsched.agents.export import export_run
from optsched.agents.folder import Folder
from optsched.agents.hyperparameters import read
from optsched.agents.subject import subject
from optsched.agents.training import Training, train
from optsched.errors import FormatError, InputError


def test_full_disks_leave_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a checkpoint cannot be written, the one before is still whole."""
    folder = Folder.new(tmp_path / "run", {"problem": "vm-rescheduling"})
    folder.save(folder.checkpoint, {"round": 1})

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(InputError, match="No space left"):
        folder.save(folder.checkpoint, {"round": 2})
    assert folder.load(folder.checkpoint)["round"] == 1
    with pytest.raises(InputError, match="No space left"):
        Folder.new(tmp_path / "next", {"problem": "vm-rescheduling"})
    assert not (tmp_path / "next").exists(), "a run that cannot begin leaves nothing"


def test_damaged_and_foreign_files(tmp_path: Path) -> None:
    """Checkpoints that are damaged, of another version or missing are told apart."""
    folder = Folder.new(tmp_path / "run", {"problem": "vm-rescheduling"})
    with pytest.raises(InputError, match="has the run validated"):
        folder.load(folder.best)
    folder.best.write_bytes(b"PK nothing")
    with pytest.raises(FormatError, match="damaged"):
        folder.load(folder.best)
    torch.save({"format": 99}, folder.best)
    with pytest.raises(FormatError, match="another version"):
        folder.load(folder.best)
    with pytest.raises(InputError, match="holds no run"):
        Folder.old(tmp_path)


def test_bytes_that_resemble_a_checkpoint_are_damaged(tmp_path: Path) -> None:
    """Whatever a file holds, reading it ends in one sentence, for weights and configuration."""
    folder = Folder.new(tmp_path / "run", {"problem": "vm-rescheduling"})
    for content in (b"hello\n", b"", b"\x80\x02}q\x00.", b"PK\x03\x04"):
        folder.best.write_bytes(content)
        with pytest.raises(FormatError, match=r"best\.pt' is (damaged|of another version)"):
            folder.load(folder.best)
    for text in (": : [", "a list", "problem: vm-rescheduling\n", "problem: 1\nseed: a\n"):
        (folder.path / "config.yml").write_text(text)
        with pytest.raises(FormatError, match="damaged"):
            folder.config()
    Folder.old(folder.path).discard()
    assert folder.best.exists(), "what is not of the beginning stays"


def test_a_run_that_cannot_begin_leaves_nothing(tmp_path: Path, small: dict[str, Any]) -> None:
    """Instances that cannot be drawn are refused, and the folder can be used for the next try."""
    for options in ({"pms": -3}, {"foo": 3}, {"pms": "many"}, {"moves": 0}):
        bad = small | {"env_kwargs": small["env_kwargs"] | options}
        with pytest.raises(InputError, match=r"(PMs|no episode); give|env_kwargs make no inst"):
            train("vm-rescheduling", tmp_path / "run", bad, 0, device="cpu")
        assert not (tmp_path / "run").exists()
    pods = read("pod-packing", None, {})
    for ratio, word in (("x", "make no instances"), (0, "at least 1")):
        bad = pods | {"env_kwargs": pods["env_kwargs"] | {"ratio": ratio}}
        with pytest.raises(InputError, match=word):
            train("pod-packing", tmp_path / "run", bad, 0, device="cpu")
        assert not (tmp_path / "run").exists()
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no GPU that torch can use"):
            train("vm-rescheduling", tmp_path / "run", small, 0, device="cuda")
        assert not (tmp_path / "run").exists()
    for seed in (-1, 1 << 32):
        with pytest.raises(InputError, match="out of range; give 0 to 4294967295"):
            train("vm-rescheduling", tmp_path / "run", small, seed, device="cpu")
        assert not (tmp_path / "run").exists()


def test_no_room_for_curves_ends_no_run(
    tmp_path: Path, small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk may take TensorBoard's curves; a run that can still be saved goes on."""
    from torch.utils.tensorboard import SummaryWriter

    def full(*given: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", full)
    run = train("vm-rescheduling", tmp_path / "run", small | {"n_timesteps": 0}, 0, device="cpu")
    assert run.run() <= 1
    assert run.folder.checkpoint.exists()


def test_weights_of_another_problem_are_refused(tmp_path: Path, small: dict[str, Any]) -> None:
    """Neither a run that goes on nor an export takes the weights of another network."""
    folder = Folder.new(
        tmp_path / "run", {"problem": "vm-rescheduling", "seed": 0, "hyperparameters": small}
    )
    other = subject("pod-packing").network().state_dict()
    folder.save(folder.best, {"network": other, "gap": 0.5, "stage": "clone"})
    with pytest.raises(FormatError, match="weights of another network"):
        export_run(folder.path, tmp_path / "agent.onnx")
    assert not (tmp_path / "agent.onnx").exists()
    folder.save(folder.checkpoint, {"network": other})
    with pytest.raises(FormatError, match="weights of another network"):
        Training(folder, device="cpu")
    with pytest.raises(InputError, match="there are vm-rescheduling, pod-packing"):
        subject("vms")


def test_files_that_are_others_of_a_run_are_refused(tmp_path: Path, small: dict[str, Any]) -> None:
    """Files that were swapped, and a learner that was cut short, end in a sentence."""
    small |= {"tilt": small["tilt"] | {"rounds": 0}, "correct": small["correct"] | {"rounds": 0}}
    small |= {"clone": small["clone"] | {"rounds": 1}, "n_timesteps": 32}
    folder = train("vm-rescheduling", tmp_path / "run", small, 0, device="cpu").folder
    Training(folder, device="cpu").run()
    checkpoint, best = folder.checkpoint.read_bytes(), folder.best.read_bytes()
    folder.checkpoint.write_bytes(best)
    with pytest.raises(FormatError, match=r"checkpoint\.pt' is damaged; train anew"):
        Training(folder, device="cpu")
    folder.checkpoint.write_bytes(checkpoint)
    folder.best.write_bytes(checkpoint)
    with pytest.raises(FormatError, match=r"best\.pt' is damaged; train anew"):
        Training(folder, device="cpu")
    with pytest.raises(FormatError, match=r"best\.pt' is damaged; train anew"):
        export_run(folder.path, str(tmp_path / "agent.onnx"))
    folder.best.write_bytes(best)
    content = folder.load(folder.checkpoint)
    content |= {"ppo": content["ppo"][:100], "timesteps": 16}
    folder.save(folder.checkpoint, content)
    with pytest.raises(FormatError, match=r"checkpoint\.pt' is damaged; train anew"):
        Training(folder, device="cpu").run()
