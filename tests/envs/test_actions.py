"""What is no action: told in one sentence, before anything is read or changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optsched.envs.actions import many, one
from optsched.envs.pod_batch import make_batch as pod_batch
from optsched.envs.pod_packing import PodPacking
from optsched.envs.task_placement import TaskPlacement
from optsched.envs.vm_batch import make_batch as vm_batch
from optsched.envs.vm_merged import VMReschedulingMerged
from optsched.envs.vm_rescheduling import VMRescheduling
from optsched.envs.vm_tables import Settings
from optsched.errors import InputError


@pytest.mark.parametrize("action", [1.5, "1", None, np.array([1, 2]), float("nan")])
def test_an_action_is_one_whole_number(action: Any) -> None:
    """Anything else is refused, by the single environments too, and changes nothing."""
    with pytest.raises(InputError, match="give one whole number"):
        one(action)
    vms, pods = VMRescheduling(pms=3, moves=2), PodPacking(nodes=2)
    for env in (vms, pods, TaskPlacement(nodes=3, count=3)):
        env.reset(seed=0)
        before = env.action_masks()
        with pytest.raises(InputError, match="give one whole number"):
            env.step(action)
        assert (env.action_masks() == before).all()


@pytest.mark.parametrize("action", [3, np.int64(3), np.uint8(3), np.array(3)])
def test_whole_numbers_of_all_kinds(action: Any) -> None:
    """Whatever library it comes from."""
    assert one(action) == 3


@pytest.mark.parametrize(
    "actions",
    [np.zeros(2, int), np.zeros(4, int), np.zeros((3, 1), int), np.zeros(3), 0, ["a", "b", "c"]],
)
def test_a_batch_takes_one_action_for_each(actions: Any) -> None:
    """Too few, too many, or no whole numbers are refused; nothing beyond them is read."""
    merged = VMReschedulingMerged(3, Settings(moves=2, options={"pms": 3}))
    for env in (vm_batch(3, pms=3, moves=2), merged, pod_batch(3, nodes=2)):
        env.reset(seed=0)
        before = env.action_masks()
        with pytest.raises(InputError, match="give 3 whole numbers"):
            env.step(actions)
        assert (env.action_masks() == before).all()


@pytest.mark.parametrize("action", [-1, 10**6])
def test_numbers_beyond_all_actions_are_refused(action: int) -> None:
    """Neither from the end nor beyond it is anything an action."""
    merged = VMReschedulingMerged(3, Settings(moves=2, options={"pms": 3}))
    for env in (vm_batch(3, pms=3, moves=2), merged, pod_batch(3, nodes=2)):
        env.reset(seed=0)
        with pytest.raises(InputError, match="environment 0: action"):
            env.step(np.full(3, action))


def test_actions_of_a_batch_keep_their_order() -> None:
    """Lists and narrow kinds become the numbers that the compiled loop reads."""
    assert many([2, 0, 1], 3).tolist() == [2, 0, 1]
    assert many(np.array([1, 2], np.int8), 2).dtype == np.int64
