"""What a teacher of VM rescheduling teaches: good choices in states of its ways and of the clone's.

The moves of an order-safe plan may be made in any order, and items of one class are
interchangeable. So in every state all moves of the plan that are left are right, and after the
choice of an item, all cells that the plan has left for its class.

A policy that only saw the teacher's own ways is lost where it leaves them. So the teacher is also
asked how it would go on from where the clone has got to (Ross et al., A Reduction of Imitation
Learning to No-Regret Online Learning, 2011). What the clone does wrong in the end is the matter of
`agents.mistakes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from optsched.agents import vm_instances
from optsched.agents.attention import NEVER
from optsched.agents.cloning import Weights
from optsched.agents.experts import Lesson, rest, whole
from optsched.agents.network import MigrationNetwork
from optsched.envs.seeds import seeds
from optsched.kernels import layout
from optsched.simulate.migration import Start
from optsched.simulate.walks import Floats, Looks, Walk, Walks

SAMPLED = 0.3  # temperature of the clone's second episode; the first is its best choices


@dataclass(frozen=True)
class Example:
    """A state, and the share (G + 1 + C,) that each of its choices should get."""

    look: Looks
    wanted: Floats

    @classmethod
    def of(cls, look: Looks, wanted: Floats) -> Example:
        """Without what is only needed to find the shares: examples travel between processes."""
        return cls(replace(look, alike=look.alike[:, :0]), wanted)


@dataclass(frozen=True)
class Job:
    """An instance, and what to do on it: "whole" or "follow"."""

    seed: int
    options: tuple[tuple[str, Any], ...]
    moves: int
    kind: str
    draw: int

    def start(self) -> Start:
        """The first state."""
        return vm_instances.begun(self.seed, dict(self.options), self.moves)


@dataclass(frozen=True)
class Teaching:
    """`agents.cloning.Teaching` of `fragments`, with the hyperparameters `clone`."""

    clone: dict[str, Any]
    env: dict[str, Any]

    def jobs(self, rng: np.random.Generator, done: int) -> list[Job]:
        """Whole plans first; later most are episodes of the clone."""
        count = int(self.clone["jobs_per_round"])
        found = []
        for at in range(count):
            seed, options, moves = self.drawn(rng)
            follow = done >= self.clone["follow_from"] and (at + 0.5) / count > self.clone["whole"]
            kind = "follow" if follow else "whole"
            found.append(Job(seed, options, moves, kind, int(rng.integers(1 << 62))))
        return found

    def drawn(self, rng: np.random.Generator) -> tuple[int, tuple[tuple[str, Any], ...], int]:
        """An instance of the training split: as configured, smaller, or with memory that binds."""
        own, (options, moves) = seeds("train"), vm_instances.parted(self.env)
        seed = int(rng.integers(own.start, own.stop))
        if rng.random() < self.clone["smaller"]:
            pms = int(options.get("pms", 279))
            options["pms"] = int(rng.integers(min(max(pms // 10, 2), pms), pms + 1))
            options["usage"] = float(rng.uniform(0.65, 0.93))
            moves = max(2, int(options["pms"] * rng.uniform(0.06, 0.25)))
        if rng.random() < self.clone["mixed"]:
            options["memory"] = "mixed"
        return seed, tuple(sorted(options.items())), moves

    def study(self, job: Job, weights: Weights) -> list[Example]:
        """Some states of each lesson that comes of the job."""
        rng, begun = np.random.default_rng(job.draw), job.start()
        keep = int(self.clone["states_per_lesson"])
        if job.kind == "whole":
            return _some(list(examples(whole(begun), rng)), 2 * keep, rng)
        network = MigrationNetwork()
        network.load_state_dict({name: torch.from_numpy(part) for name, part in weights.items()})
        network.eval()
        lessons = follow(network, begun, rng, int(self.clone["stops"]))
        return [one for lesson in lessons for one in _some(list(examples(lesson, rng)), keep, rng)]

    def collate(self, batch: Sequence[Example]) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """See `agents.cloning.Teaching`."""
        looks = [one.look for one in batch]
        legal = padded(looks, [look.actions[0] >= 0 for look in looks])
        return collate(looks), legal, padded(looks, [one.wanted for one in batch])

    def scores(self, outputs: tuple[Tensor, ...]) -> Tensor:
        """Groups, stop, cells."""
        return torch.cat(outputs[:3], dim=1)

    def size(self, example: Example) -> int:
        """The first phase after the second, then by the number of groups and cells."""
        look = example.look
        return look.groups.shape[1] * 4096 + look.cells.shape[1]


def _some(found: list[Example], most: int, rng: np.random.Generator) -> list[Example]:
    if len(found) <= most:
        return found
    return [found[at] for at in rng.choice(len(found), most, replace=False).tolist()]


def sizes(looks: Sequence[Looks]) -> tuple[int, int]:
    """The most cells and groups."""
    return max(one.cells.shape[1] for one in looks), max(one.groups.shape[1] for one in looks)


def collate(looks: Sequence[Looks]) -> tuple[Tensor, ...]:
    """The inputs of the network, padded."""
    cells, groups = sizes(looks)
    table = np.zeros((len(looks), cells, layout.CELL_WIDE), np.float32)
    bias = np.full((len(looks), cells), NEVER, np.float32)
    rows = np.zeros((len(looks), groups, layout.GROUP_WIDE), np.float32)
    for n, one in enumerate(looks):
        table[n, : one.cells.shape[1]] = one.cells[0]
        bias[n, : one.cells.shape[1]] = one.bias[0]
        rows[n, : one.groups.shape[1]] = one.groups[0]
    tasks = np.concatenate([one.tasks for one in looks])
    return tuple(torch.from_numpy(one) for one in (table, bias, rows, tasks))


def padded(looks: Sequence[Looks], choices: Sequence[np.ndarray]) -> Tensor:
    """(B, G + 1 + C) what is told of every choice, in the places of the padded tables."""
    cells, groups = sizes(looks)
    table = np.zeros((len(looks), groups + 1 + cells), choices[0].dtype)
    for n, (look, values) in enumerate(zip(looks, choices, strict=True)):
        own, many = look.groups.shape[1], look.cells.shape[1]
        table[n, :own] = values[:own]
        table[n, groups : groups + 1 + many] = values[own:]
    return torch.from_numpy(table)


class Left:
    """What is left of a plan: groups that give an item, and cells that a class enters."""

    def __init__(self, lesson: Lesson) -> None:
        begun = lesson.begun
        self.groups = Counter(group for group, _ in lesson.moves)
        self.many = begun.groups
        self._classes = begun.row[begun.row[layout.GROUP_CLASS] :][: begun.groups]
        self._cells: dict[int, Counter[int]] = {}
        for group, cell in lesson.moves:
            self._cells.setdefault(int(self._classes[group]), Counter())[cell] += 1

    def first(self, walk: Walk) -> dict[int, int]:
        """Actions that choose a group, and how often each is in the plan; in the end, the stop."""
        if not self.groups:
            return {walk.stop: 1}
        return {group: times for group, times in self.groups.items() if walk.mask[group]}

    def second(self, walk: Walk, group: int) -> dict[int, int]:
        """Actions that choose a cell for the item of a group, likewise."""
        cells = self._cells.get(int(self._classes[group]), Counter())
        named = {self.many + cell: times for cell, times in cells.items()}
        return {action: times for action, times in named.items() if walk.mask[action]}

    def take(self, group: int, cell: int) -> None:
        """A move of the plan is made."""
        for counts, name in ((self.groups, group), (self._cells[int(self._classes[group])], cell)):
            counts[name] -= 1
            if not counts[name]:
                del counts[name]


def examples(lesson: Lesson, rng: np.random.Generator) -> Iterator[Example]:
    """All states on one random way through a plan."""
    walk, left = Walk(lesson.begun), Left(lesson)
    while not walk.over:
        look, groups = walk.look(), left.first(walk)
        if not groups:
            return
        yield Example.of(look, shares(look, groups))
        if not left.groups:
            return
        group = list(groups)[int(rng.integers(len(groups)))]
        walk.step(group)
        cells = left.second(walk, group)
        if not cells:
            return
        look = walk.look()
        yield Example.of(look, shares(look, cells))
        action = list(cells)[int(rng.integers(len(cells)))]
        walk.step(action)
        left.take(group, action - lesson.begun.groups)


def shares(look: Looks, actions: dict[int, int]) -> Floats:
    """The share of each choice that stands for some of the actions."""
    share = np.zeros(look.actions.shape[1], np.float32)
    for action, times in actions.items():
        if look.alike[0, action] >= 0:
            share[look.alike[0, action]] += times
    return share / max(float(share.sum()), 1.0)


@torch.no_grad()
def act(
    network: MigrationNetwork, looks: Looks, rng: np.random.Generator, warmth: Floats | None = None
) -> np.ndarray:
    """(N,) the best action of every state, or at temperatures (N,) a drawn one."""
    device = next(network.parameters()).device
    tables = (looks.cells, looks.bias, looks.groups, looks.tasks)
    found = network(*(torch.from_numpy(one).to(device) for one in tables))
    scores = torch.cat(found[:3], dim=1).cpu().numpy()
    if warmth is not None:
        scores = scores + warmth[:, None] * rng.gumbel(size=scores.shape).astype(np.float32)
    return looks.best(scores)


def follow(
    network: MigrationNetwork, begun: Start, rng: np.random.Generator, stops: int
) -> list[Lesson]:
    """Let the network play twice, and ask the teacher to go on from some of the states."""
    limit = max(int(begun.row[layout.LIMIT]), 1)
    walks, warmth = Walks([begun, begun]), np.array([0.0, SAMPLED], np.float32)
    wanted = [set(rng.integers(0, limit, stops).tolist()) for _ in range(2)]
    found: list[Lesson] = []
    while not walks.over.all():
        for n in np.flatnonzero((walks.chosen < 0) & ~walks.over).tolist():
            if len(walks.moves[n]) in wanted[n]:
                wanted[n].discard(len(walks.moves[n]))
                lesson = rest(begun, walks.rows[n], walks.moves[n])
                if lesson is not None and lesson.moves:
                    found.append(lesson)
        walks.step(act(network, walks.looks(), rng, warmth))
    return found
