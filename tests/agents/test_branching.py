"""Every choice tried: what ends are worth, and a network that learns from them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")
import torch

from optsched.agents.branching import Branches, Branching, Tried, _lost, played
from optsched.agents.pod_lessons import drawn
from optsched.agents.pod_network import PodNetwork
from optsched.envs.pod_batch import PodPackingBatch
from optsched.envs.pool import Pool
from optsched.envs.seeds import seeds
from optsched.simulate.pod_sight import alike, distinct

ENV = {"nodes": 4, "ppn": 4, "ratio": 4}
CONFIG = {
    "rounds": 2, "instances": 8, "states": 4, "pool": 400, "updates": 4, "batch_size": 32,
    "learning_rate": "lin_1e-3", "keep": 0.1,
}  # fmt: skip


def network() -> PodNetwork:
    """An untrained one."""
    torch.manual_seed(0)
    return PodNetwork().eval()


def tried(count: int = 6) -> list[Tried]:
    """States of episodes of the untrained network."""
    problems = [drawn(seed, ENV) for seed in range(count)]
    return Branches(ENV, count, 5).tried(network(), problems, np.random.default_rng(0))


def test_like_nodes_are_one_choice() -> None:
    """Of nodes that look the same one is tried, and its worth is told of all."""
    hosts = np.zeros((4, 8), np.float32)
    hosts[2, 0] = 0.5
    mask = np.array([True, True, True, False, True])
    assert distinct(hosts, mask) == [0, 2, 4]
    assert alike(hosts, mask, 0).tolist() == [0, 1]
    assert alike(hosts, mask, 2).tolist() == [2]
    assert alike(hosts, mask, 4).tolist() == [4]


def test_worth_is_what_playing_on_earns() -> None:
    """Every choice of every state, played alone from the start, ends with what is told of it."""
    problems = [drawn(seed, ENV) for seed in range(3)]
    net = network()
    batch = PodPackingBatch(3, Pool(lambda seed: problems[0]), 4, 4.0)
    played(net, batch, problems, [[], [], []])
    ways = [[host if host >= 0 else 4 for host in own] for own in batch.bound]
    for n, way in enumerate(ways):
        for at in (0, len(way) // 2, len(way) - 1):
            alone = PodPackingBatch(1, Pool(lambda seed: problems[0]), 4, 4.0)
            seen, _ = alone.begin([problems[n]]), None
            for action in way[:at]:
                alone.play(np.array([action]))
                seen = alone.see()
            mask = alone.action_masks()[0]
            state = n, at, {name: table[0].copy() for name, table in seen.items()}, mask
            found = Branches(ENV, 1, 1)._branched(net, problems, ways, [state])
            ends = {
                action: played(net, alone, [problems[n]], [[*way[:at], action]])[0]
                for action in np.flatnonzero(mask).tolist()
            }
            assert len(found) == (len(set(ends.values())) > 1)
            for one in found:
                assert {a: one.worth[a] for a in ends} == pytest.approx(ends)


def test_only_states_that_matter_are_kept() -> None:
    """Choices differ in what they earn, and what is not allowed is worth nothing."""
    found = tried()
    assert found
    for one in found:
        assert np.ptp(one.worth[one.legal]) > 0
        assert not one.worth[~one.legal].any()
        assert np.isfinite(one.worth).all()


def test_jobs_are_of_training_seeds() -> None:
    """As many instances as are asked for, and the same ones for a seed."""
    one, other = (Branches(ENV, 20, 2).jobs(np.random.default_rng(1)) for _ in range(2))
    assert one == other
    drawn_seeds = [seed for job in one for seed in job.seeds]
    assert len(drawn_seeds) == 20
    assert all(seed in seeds("train") for seed in drawn_seeds)


def test_the_network_comes_to_earn_more() -> None:
    """On the states that it learned from, less is lost than before."""
    net, found = network(), tried(12)
    before = copy.deepcopy(net)
    course = Branching(net, CONFIG | {"updates": 60, "learning_rate": 3e-3}, ENV, 0, 1)
    course.pool.extend(found)
    course._update(np.random.default_rng(0))
    net.eval()
    with torch.no_grad():
        now, moved = _lost(net, before, found)
        old, still = _lost(before, before, found)
    assert float(now.mean()) < 0.9 * float(old.mean())
    assert float(still.abs().max()) < 1e-5 < float(moved.mean())


def test_rounds_repeat_and_go_on() -> None:
    """The same seed ends with the same weights; a resumed course does what is left."""
    ends = []
    for _ in range(2):
        net = network()
        course = Branching(net, CONFIG, ENV, 3, 1)
        assert len(list(course.rounds(lambda: False))) == 2
        ends.append(torch.cat([part.flatten() for part in net.parameters()]))
    assert torch.equal(ends[0], ends[1])
    later = Branching(network(), CONFIG, ENV, 3, 1)
    later.restore(course.state() | {"round": 1})
    assert len(list(later.rounds(lambda: False))) == 1
    assert not list(later.rounds(lambda: False))
