"""What a network did wrong in its own episodes of VM rescheduling, found with few questions.

The teacher knows the best end that can be reached from a state. Along an episode that end only gets
worse, and it gets worse at the mistakes: one to three of fifty migrations. They are found by
halving, so that some ten states of an episode are asked about instead of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from optsched.agents import vm_instances
from optsched.agents.cloning import Weights
from optsched.agents.experts import Lesson, rest
from optsched.agents.network import MigrationNetwork
from optsched.agents.vm_lessons import SAMPLED, Left, Teaching, act
from optsched.arrays import Bools
from optsched.simulate.migration import Start
from optsched.simulate.walks import Looks, Walk, Walks

TOGETHER = 8  # episodes that share a call of the network
WARM = 0.5  # share of episodes that are sampled


@dataclass(frozen=True)
class Choice:
    """A choice of the network in an episode of its own.

    Attributes
    ----------
    look
        The state.
    own
        What it chose, of the (G + 1 + C,) choices.
    better
        (G + 1 + C,) bool, what would have been right; nothing, where the choice was.
    """

    look: Looks
    own: int
    better: Bools

    @property
    def wrong(self) -> bool:
        """Whether something else would have been right."""
        return bool(self.better.any())


@dataclass(frozen=True)
class Job:
    """Instances (seed, options, moves) to play, and the seed of all that is drawn."""

    instances: tuple[tuple[int, tuple[tuple[str, Any], ...], int], ...]
    draw: int


class Episode:
    """What was done in an episode, to be gone through again.

    Attributes
    ----------
    steps
        Per migration its two actions, at the end perhaps the stop alone.
    """

    def __init__(self, begun: Start) -> None:
        self.begun = begun
        self.steps: list[list[int]] = []
        self._asked: dict[int, Lesson | None] = {}

    def add(self, action: int, first: bool) -> None:
        """Take note of an action; `first`: of a migration."""
        if first:
            self.steps.append([])
        self.steps[-1].append(action)

    def before(self, step: int, actions: int = 0) -> Walk:
        """The state before a migration, or after so many of its actions."""
        walk = Walk(self.begun)
        for made in self.steps[:step]:
            for action in made:
                walk.step(action)
        for action in self.steps[step][:actions] if actions else []:
            walk.step(action)
        return walk

    def lesson(self, step: int) -> Lesson | None:
        """How the teacher goes on before a migration; None where it cannot be asked."""
        if step not in self._asked:
            walk = self.before(step)
            self._asked[step] = rest(self.begun, walk.row, walk.moves)
        return self._asked[step]

    def end(self) -> int:
        """The first level's value at the end."""
        return int(self.begun.levels(self.before(len(self.steps)).row)[0])

    def mistakes(self) -> list[int]:
        """The migrations before which more could have been reached than after them."""
        last, end = len(self.steps), self.end()

        def best(step: int) -> int | None:
            lesson = self.lesson(step) if step < last else None
            return end if step == last else None if lesson is None else lesson.best

        return halved(best, 0, last, end)

    def choices(self, keep: int, rng: np.random.Generator) -> list[Choice]:
        """All wrong ones, and some that were right; only where the teacher could be asked."""
        if self.lesson(0) is None:
            return []
        wrong = set(self.mistakes())
        places = [(at, second) for at, step in enumerate(self.steps) for second in range(len(step))]
        picked = rng.choice(len(places), min(keep, len(places)), replace=False)
        right = [places[k] for k in picked.tolist() if places[k][0] not in wrong]
        found = [self._choice(at, second, False) for at, second in right]
        for at in sorted(wrong):
            found += [self._choice(at, second, True) for second in range(len(self.steps[at]))]
        return [one for one in found if one is not None]

    def _choice(self, at: int, second: int, wrong: bool) -> Choice | None:
        """What was chosen; None where it was wrong and the teacher names nothing better."""
        walk, action = self.before(at, second), self.steps[at][second]
        look = walk.look()
        better = np.zeros(look.actions.shape[1], bool)
        own = int(look.alike[0, action])
        if wrong:
            lesson = self.lesson(at)
            if lesson is None:
                return None
            left = Left(lesson)
            good = left.second(walk, self.steps[at][0]) if second else left.first(walk)
            named = look.alike[0, list(good)]
            better[named[named >= 0]] = True
            if better[own] or not better.any():
                return None
        return Choice(replace(look, alike=look.alike[:, :0]), own, better)


def halved(best: Callable[[int], int | None], low: int, high: int, end: int) -> list[int]:
    """Where the best that can be reached gets worse between two steps.

    Parameters
    ----------
    best
        What can be reached before a step; None: not known. It never falls.
    end
        What was reached, and so stands for what is not known.
    """
    before, after = best(low), best(high)
    if (end if before is None else before) >= (end if after is None else after):
        return []
    if high - low == 1:
        return [] if before is None or after is None else [low]
    middle = (low + high) // 2
    return halved(best, low, middle, end) + halved(best, middle, high, end)


def played(
    network: MigrationNetwork, starts: Sequence[Start], rng: np.random.Generator, warm: float
) -> list[Episode]:
    """Episodes of the network, a share of them sampled."""
    walks, found = Walks(starts), [Episode(begun) for begun in starts]
    warmth = np.where(rng.random(len(starts)) < warm, SAMPLED, 0.0).astype(np.float32)
    while not walks.over.all():
        going, first = np.flatnonzero(~walks.over).tolist(), walks.chosen < 0
        actions = act(network, walks.looks(), rng, warmth)
        for n in going:
            found[n].add(_own(walks, found[n].begun, int(actions[n])), bool(first[n]))
        walks.step(actions)
    return found


def _own(walks: Walks, begun: Start, action: int) -> int:
    """An action as the start alone numbers it: side by side, tables are as large as the largest."""
    if action == walks.many + walks.count:
        return begun.groups + begun.cells
    return action if action < walks.many else action - walks.many + begun.groups


@dataclass(frozen=True)
class Searching:
    """What is asked for in a round; it goes to other processes, so it can be pickled.

    Parameters
    ----------
    teaching
        Draws instances.
    episodes
        Of a round.
    keep
        Right choices that are kept of each.
    """

    teaching: Teaching
    episodes: int
    keep: int

    def jobs(self, rng: np.random.Generator) -> list[Job]:
        """All of a round."""
        drawn = [self.teaching.drawn(rng) for _ in range(self.episodes)]
        parts = [drawn[at : at + TOGETHER] for at in range(0, len(drawn), TOGETHER)]
        return [Job(tuple(part), int(rng.integers(1 << 62))) for part in parts]

    def study(self, job: Job, weights: Weights) -> list[Choice]:
        """Choices of the network in the episodes of a job."""
        network = MigrationNetwork()
        network.load_state_dict({name: torch.from_numpy(part) for name, part in weights.items()})
        network.eval()
        rng = np.random.default_rng(job.draw)
        starts = [vm_instances.begun(seed, dict(own), moves) for seed, own, moves in job.instances]
        episodes = played(network, starts, rng, WARM)
        return [one for episode in episodes for one in episode.choices(self.keep, rng)]
