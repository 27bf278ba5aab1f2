"""Coefficients on top of scores, found by what episodes reach."""

from __future__ import annotations

import copy

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")
import torch

from optsched.agents.network import MigrationNetwork
from optsched.agents.tilting import Tilting
from optsched.kernels.layout import CELL_WIDE, GROUP_WIDE, TASK_WIDE


def test_the_best_coefficients_are_kept() -> None:
    """What is set in the end is at least as good as none, and the search repeats."""
    ends = []
    for _ in range(2):
        torch.manual_seed(0)
        network = MigrationNetwork()
        config = {"rounds": 3, "population": 6, "instances": 3}
        search = Tilting(network, config, {"pms": 12, "moves": 4}, 0)
        before = search.value(np.zeros(GROUP_WIDE + CELL_WIDE))
        told = list(search.rounds(lambda: False))
        found = torch.cat([network.group_tilt, network.cell_tilt])
        assert search.value(found.numpy().astype(float)) <= before
        assert told == sorted(told, reverse=True)
        assert len(told) == 3
        ends.append(found)
    assert torch.equal(ends[0], ends[1])


def test_a_search_that_is_resumed_goes_on_as_it_would_have() -> None:
    """From its state after a round, and the weights at that time, it ends alike."""
    config, env = {"rounds": 3, "population": 4, "instances": 2}, {"pms": 12, "moves": 4}
    torch.manual_seed(0)
    network = MigrationNetwork()
    search = Tilting(network, config, env, 0)
    rounds = search.rounds(lambda: False)
    next(rounds)
    state, other = search.state(), copy.deepcopy(network)
    list(rounds)
    later = Tilting(other, config, env, 0)
    later.restore(state)
    assert len(list(later.rounds(lambda: False))) == 2
    assert torch.equal(other.group_tilt, network.group_tilt)
    assert torch.equal(other.cell_tilt, network.cell_tilt)


def test_coefficients_are_added_to_scores() -> None:
    """Scores rise by the columns times the coefficients, and nothing else changes."""
    torch.manual_seed(0)
    network = MigrationNetwork().eval()
    config = {"rounds": 0, "population": 2, "instances": 1}
    search = Tilting(network, config, {"pms": 4, "moves": 2}, 0)
    cells, groups = torch.rand(1, 4, CELL_WIDE), torch.rand(1, 6, GROUP_WIDE)
    task = torch.rand(1, TASK_WIDE)
    bare = network(cells, torch.zeros(1, 4), groups, task)
    tilt = np.random.default_rng(0).normal(size=GROUP_WIDE + CELL_WIDE)
    search.set(tilt)
    found = network(cells, torch.zeros(1, 4), groups, task)
    given = torch.from_numpy(tilt.astype(np.float32))
    assert torch.allclose(found[0], bare[0] + groups @ given[:GROUP_WIDE], atol=1e-5)
    assert torch.allclose(found[2], bare[2] + cells @ given[GROUP_WIDE:], atol=1e-5)
    assert torch.equal(found[1], bare[1])
    assert torch.equal(found[3], bare[3])
