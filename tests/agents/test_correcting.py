"""Mistakes of a network's own episodes: found by halving, and unlearned without losing the rest."""

from __future__ import annotations

import copy

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")
import torch

from optsched.agents import experts
from optsched.agents.correcting import Correcting, _ahead, _moved, _phases
from optsched.agents.hyperparameters import read
from optsched.agents.mistakes import Choice, Episode, Job, Searching, halved, played
from optsched.agents.network import MigrationNetwork
from optsched.agents.vm_lessons import Teaching
from optsched.envs.seeds import seeds
from optsched.generate.vm import snapshot
from optsched.simulate.migration import start

PMS, MOVES = 20, 6


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A teacher that takes its time: how busy the machine is changes nothing."""
    monkeypatch.setattr(experts, "SECONDS", 60.0)


def network() -> MigrationNetwork:
    """An untrained one, which makes many mistakes."""
    torch.manual_seed(0)
    return MigrationNetwork().eval()


def episodes(count: int = 4, warm: float = 0.0) -> list[Episode]:
    """Of the untrained network."""
    starts = [start(snapshot(seed, pms=PMS + seed), MOVES) for seed in range(count)]
    return played(network(), starts, np.random.default_rng(0), warm)


@pytest.mark.parametrize(
    ("known", "found"),
    [
        ([5, 5, 5, 5, 5], []),
        ([3, 3, 4, 4, 6], [1, 3]),
        ([1, 2, 3, 4, 5], [0, 1, 2, 3]),
        ([3, 3, None, 4, 4], []),  # either of two steps: neither is blamed
        ([3, None, 3, 3, 4], [3]),
    ],
)
def test_mistakes_are_where_less_can_be_reached(known: list[int | None], found: list[int]) -> None:
    """Every step after which the best is worse is found, and none that is in doubt."""
    end = known[-1]
    assert end is not None
    assert halved(known.__getitem__, 0, len(known) - 1, end) == found


def test_few_questions_are_asked() -> None:
    """One mistake of fifty steps takes some ten questions."""
    asked: list[int] = []

    def best(step: int) -> int:
        if step not in asked:
            asked.append(step)
        return 0 if step <= 31 else 1

    assert halved(best, 0, 50, 1) == [31]
    assert len(asked) <= 10


def test_episodes_can_be_gone_through_again() -> None:
    """Side by side or alone, the same actions lead to the same ends and are allowed."""
    for warm in (0.0, 1.0):
        for episode in episodes(warm=warm):
            walk = episode.before(len(episode.steps))
            assert walk.over
            assert 1 <= len(episode.steps) <= MOVES + 1
            assert episode.end() == episode.begun.levels(walk.row)[0]


def test_mistakes_are_those_that_asking_everywhere_finds() -> None:
    """Before each mistake the teacher could have ended better than after it; before others not."""
    seen = 0
    for episode in episodes():
        ends = []
        for step in range(len(episode.steps)):
            lesson = episode.lesson(step)
            assert lesson is not None
            ends.append(lesson.best)
        ends.append(episode.end())
        expected = [k for k in range(len(episode.steps)) if ends[k] < ends[k + 1]]
        assert episode.mistakes() == expected
        seen += len(expected)
    assert seen >= 4


def test_choices_name_what_would_have_been_right() -> None:
    """What is better is allowed and not what was chosen; of right choices nothing is better."""
    found = [one for e in episodes() for one in e.choices(4, np.random.default_rng(0))]
    wrong = [one for one in found if one.wrong]
    assert wrong
    assert len(wrong) < len(found)
    for one in found:
        assert one.look.actions[0, one.own] >= 0
        assert not one.better[one.own]
        assert (one.look.actions[0][one.better] >= 0).all()


def searching(count: int = 10) -> Searching:
    """On small instances."""
    config = read("vm-rescheduling", None, {})
    return Searching(Teaching(config["clone"], {"pms": PMS, "moves": MOVES}), count, 6)


def test_jobs_are_of_training_seeds() -> None:
    """As many episodes as are asked for, and the same ones for a seed."""
    one, other = (searching().jobs(np.random.default_rng(3)) for _ in range(2))
    assert one == other
    drawn = [seed for job in one for seed, _, _ in job.instances]
    assert len(drawn) == 10
    assert all(seed in seeds("train") for seed in drawn)


def choices() -> list[Choice]:
    """Of the untrained network."""
    job = Job(tuple((seed, (("pms", PMS),), MOVES) for seed in range(6)), 0)
    weights = {name: part.numpy() for name, part in network().state_dict().items()}
    return searching().study(job, weights)


def test_wrong_choices_change_and_right_ones_stay() -> None:
    """After a round more of the wrong choices are put right, and right ones are hardly moved."""
    net = network()
    config = {
        "rounds": 1, "episodes": 8, "kept": 6, "pool": 500, "updates": 60,
        "learning_rate": "lin_3e-3", "margin": 0.5, "keep": 3.0,
    }  # fmt: skip
    found = choices()
    wrong, right = ([one for one in found if one.wrong is kind] for kind in (True, False))
    before = copy.deepcopy(net)
    course = Correcting(net, searching().teaching, config, 0, 1)
    course.wrong.extend(wrong)
    course.right.extend(right)
    course._update(np.random.default_rng(0))
    net.eval()
    with torch.no_grad():
        ahead = torch.cat([_ahead(net, part) for part in _phases(wrong)])
        old = torch.cat([_ahead(before, part) for part in _phases(wrong)])
        moved = torch.cat([_moved(net, before, part) for part in _phases(right)])
    assert (old < 0).all()
    assert float((ahead > 0).float().mean()) > 0.3
    assert 0 < float(moved.mean()) < 0.2


def test_rounds_repeat_and_go_on() -> None:
    """The same seed ends with the same weights; a resumed course does what is left."""
    config = {
        "rounds": 2, "episodes": 4, "kept": 4, "pool": 100, "updates": 2,
        "learning_rate": "lin_1e-3", "margin": 0.5, "keep": 3.0,
    }  # fmt: skip
    ends = []
    for _ in range(2):
        net = network()
        course = Correcting(net, searching().teaching, config, 5, 1)
        assert len(list(course.rounds(lambda: False))) == 2
        ends.append(torch.cat([part.flatten() for part in net.parameters()]))
    assert torch.equal(ends[0], ends[1])
    later = Correcting(network(), searching().teaching, config, 5, 1)
    later.restore({"round": 1})
    assert len(list(later.rounds(lambda: False))) == 1
    assert not list(later.rounds(lambda: False))
