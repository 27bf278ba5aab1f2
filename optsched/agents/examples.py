"""What an expert's plans teach: states on the way through a plan, and what may follow in each.

The moves of an order-safe plan may be made in any order, and items of one class are
interchangeable. So in every state all moves that are left are right, and after the choice of an
item, all cells that the plan has left for its class.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optsched.agents.network import NEVER
from optsched.kernels import migration as kernel
from optsched.plan import Plan
from optsched.simulate.migration import Start
from optsched.simulate.walks import Floats, Look, Walk


@dataclass(frozen=True)
class Lesson:
    """A start and the moves (group, cell) of an expert's plan from it."""

    begun: Start
    moves: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, begun: Start, plan: Plan) -> Lesson:
        """From an order-safe plan."""
        group = {int(i): g for g, members in enumerate(begun.members) for i in members}
        return cls(begun, tuple((group[m.item], min(m.cells)) for m in plan.moves()))


@dataclass(frozen=True)
class Example:
    """A state, and the share (N,) that each of its choices should get."""

    look: Look
    wanted: Floats


def examples(lesson: Lesson, rng: np.random.Generator) -> Iterator[Example]:
    """All states on one random way through a plan."""
    walk, begun = Walk(lesson.begun), lesson.begun
    classes = begun.row[begun.row[kernel.GROUP_CLASS] :][: begun.groups]
    left = Counter(group for group, _ in lesson.moves)
    targets: dict[int, Counter[int]] = {}
    for group, cell in lesson.moves:
        targets.setdefault(int(classes[group]), Counter())[cell] += 1
    while not walk.over:
        look = walk.look()
        wanted = _wanted(look, left or {walk.stop: 1})
        yield Example(look, wanted)
        if not left:
            return
        names = [group for group in left if walk.mask[group]]
        if not names:
            return
        group = names[int(rng.integers(len(names)))]
        walk.step(group)
        cells = targets[int(classes[group])]
        legal = {c + begun.groups: n for c, n in cells.items() if walk.mask[c + begun.groups]}
        if not legal:
            return
        look = walk.look()
        yield Example(look, _wanted(look, legal))
        action = list(legal)[int(rng.integers(len(legal)))]
        walk.step(action)
        _take(left, group)
        _take(cells, action - begun.groups)


def _take(counts: Counter[int], name: int) -> None:
    counts[name] -= 1
    if not counts[name]:
        del counts[name]


def _wanted(look: Look, actions: dict[int, int]) -> Floats:
    share = np.zeros(len(look.choices), np.float32)
    for action, times in actions.items():
        if look.alike[action] >= 0:
            share[look.alike[action]] += times
    return share / max(float(share.sum()), 1.0)


def collate(looks: Sequence[Look]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The inputs of the network, padded."""
    cells = max(len(look.cells) for look in looks)
    groups = max(len(look.groups) for look in looks)
    table = np.zeros((len(looks), cells, kernel.CELL_WIDE), np.float32)
    bias = np.full((len(looks), cells), NEVER, np.float32)
    rows = np.zeros((len(looks), groups, kernel.GROUP_WIDE), np.float32)
    for n, look in enumerate(looks):
        table[n, : len(look.cells)] = look.cells
        bias[n, : len(look.cells)] = look.cells_log
        rows[n, : len(look.groups)] = look.groups
    tasks = np.stack([look.task for look in looks])
    return tuple(torch.from_numpy(one) for one in (table, bias, rows, tasks))  # type: ignore[return-value]


def loss(scores: tuple[Tensor, Tensor, Tensor, Tensor], batch: Sequence[Example]) -> Tensor:
    """Mean cross entropy of the wanted shares under the policy's choices."""
    groups, stop, cells, _ = scores
    width = max(len(one.wanted) for one in batch)
    spot = np.zeros((len(batch), width), np.int64)
    bias = np.full((len(batch), width), NEVER, np.float32)
    wanted = np.zeros((len(batch), width), np.float32)
    every, offset = torch.cat([groups, stop, cells], dim=1), groups.shape[1]
    for n, one in enumerate(batch):
        count = len(one.wanted)
        if one.look.at is None:
            spot[n, : count - 1], spot[n, count - 1] = np.arange(count - 1), offset
        else:
            spot[n, :count] = offset + 1 + one.look.at
        bias[n, :count] = one.look.choices_log
        wanted[n, :count] = one.wanted
    logits = every.gather(1, torch.from_numpy(spot)) + torch.from_numpy(bias)
    share = torch.from_numpy(wanted)
    entropy = (share * torch.log(share.clamp_min(1e-9))).sum(dim=1)
    return (entropy - (share * torch.log_softmax(logits, dim=1)).sum(dim=1)).mean()
