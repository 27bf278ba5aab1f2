"""Cloning: a network learns what the teacher does, from its starts and from where the clone gets.

A round draws instances, asks the teacher, and makes some updates on states drawn from the pool of
the latest lessons. A run that is stopped goes on with the next round; only the pool, which is not
kept, fills anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from optsched.agents.examples import Example, Lesson, collate, examples, loss
from optsched.agents.experts import rest, whole
from optsched.agents.hyperparameters import schedule
from optsched.agents.network import MigrationNetwork
from optsched.envs.seeds import seeds
from optsched.generate.vm import snapshot
from optsched.kernels import migration as kernel
from optsched.simulate.migration import Start, start
from optsched.simulate.walks import Walk

STOPS = 4  # states of an episode from which the teacher is asked to go on
SAMPLED, WARMTH = 0.4, 0.3  # share of followed episodes that are sampled, and their temperature
CLIP = 1.0  # of the gradient's norm


class Cloning:
    """The state of cloning.

    Parameters
    ----------
    network
        Is changed.
    config
        `clone` and `env_kwargs` of the hyperparameters.
    seed
        Of all draws.
    """

    def __init__(self, network: MigrationNetwork, config: dict[str, Any], seed: int) -> None:
        self.network, self.seed = network, seed
        self.clone, self.env = config["clone"], dict(config["env_kwargs"])
        self.moves = int(self.env.pop("moves", 50))
        self.rate = schedule(self.clone["learning_rate"])
        self.optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=1e-4)
        self.round = 0
        self.pool: deque[Lesson] = deque(maxlen=int(self.clone["pool"]))

    def state(self) -> dict[str, Any]:
        """What a resumed run needs."""
        return {"round": self.round, "optimizer": self.optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`."""
        self.round = state["round"]
        self.optimizer.load_state_dict(state["optimizer"])

    def rounds(self, stop: Callable[[], bool]) -> Iterator[float]:
        """The loss of every round that is left."""
        while self.round < self.clone["rounds"] and not stop():
            # A generator of its own for every round: a resumed run draws what it would have drawn.
            rng = np.random.default_rng([self.seed, self.round])
            self.pool.extend(self._lessons(rng))
            while len(self.pool) < self.clone["lessons_per_round"]:
                self.pool.extend(self._lessons(rng))
            found = self._update(rng)
            self.round += 1
            yield found

    def _start(self, rng: np.random.Generator) -> Start:
        """A drawn instance of the training split: as configured, or a smaller and easier one."""
        own = seeds("train")
        seed, options, moves = int(rng.integers(own.start, own.stop)), dict(self.env), self.moves
        if rng.random() < self.clone["smaller"]:
            pms = int(options.get("pms", 279))
            options["pms"] = int(rng.integers(max(pms // 10, 2), pms + 1))
            options["usage"] = float(rng.uniform(0.65, 0.93))
            moves = max(2, int(options["pms"] * rng.uniform(0.06, 0.25)))
        return start(snapshot(seed, **options), moves)

    def _lessons(self, rng: np.random.Generator) -> list[Lesson]:
        count = int(self.clone["lessons_per_round"])
        followed = round(count * self.clone["followed"]) if self.round else 0
        found = [whole(self._start(rng)) for _ in range(count - followed)]
        walks = [Walk(self._start(rng)) for _ in range(-(-followed // STOPS))]
        found += follow(self.network, walks, rng)[:followed]
        return [lesson for lesson in found if lesson.moves]

    def _update(self, rng: np.random.Generator) -> float:
        size, many = int(self.clone["batch_size"]), int(self.clone["updates_per_round"])
        taken: list[Example] = []
        while len(taken) < size * many:
            taken += examples(self.pool[int(rng.integers(len(self.pool)))], rng)
        chosen = [taken[at] for at in rng.permutation(len(taken))[: size * many].tolist()]
        # Batches of like phase and size need little padding.
        chosen.sort(key=lambda one: (one.look.at is None, len(one.look.groups)))
        left = 1 - self.round / max(self.clone["rounds"], 1)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(left)
        losses = []
        self.network.train()
        for at in (rng.permutation(many) * size).tolist():
            batch = chosen[at : at + size]
            device = next(self.network.parameters()).device
            tables = [table.to(device) for table in collate([one.look for one in batch])]
            found = loss(tuple(out.cpu() for out in self.network(*tables)), batch)  # type: ignore[arg-type]
            self.optimizer.zero_grad()
            found.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), CLIP)
            self.optimizer.step()
            losses.append(float(found.detach()))
        return float(np.mean(losses)) if losses else 0.0


@torch.no_grad()
def act(
    network: MigrationNetwork,
    walks: list[Walk],
    rng: np.random.Generator,
    warmth: list[float] | None = None,
) -> None:
    """One step of every walk that goes on: the best choice, or at a temperature a drawn one."""
    device = next(network.parameters()).device
    looks = [walk.look() for walk in walks]
    tables = [table.to(device) for table in collate(looks)]
    group, stop, cell, _ = (out.cpu().numpy() for out in network(*tables))
    for n, (walk, look) in enumerate(zip(walks, looks, strict=True)):
        if look.at is None:
            scores = np.append(group[n, : len(look.groups)], stop[n])
        else:
            scores = cell[n, look.at]
        if warmth is not None and warmth[n]:
            scores = scores / warmth[n] + rng.gumbel(size=len(scores))
        walk.step(int(look.choices[int(scores.argmax())]))


def follow(network: MigrationNetwork, walks: list[Walk], rng: np.random.Generator) -> list[Lesson]:
    """Let the network play, and ask the teacher to go on from some of the states."""
    network.eval()
    warmth = {id(walk): WARMTH * float(rng.random() < SAMPLED) for walk in walks}
    stops = {
        id(walk): set(rng.integers(0, max(int(walk.row[kernel.LIMIT]), 1), STOPS).tolist())
        for walk in walks
    }
    found: list[Lesson] = []
    going = [walk for walk in walks if not walk.over]
    while going:
        for walk in going:
            if walk.chosen < 0 and len(walk.moves) in stops[id(walk)]:
                stops[id(walk)].discard(len(walk.moves))
                lesson = rest(walk)
                if lesson is not None:
                    found.append(lesson)
        act(network, going, rng, [warmth[id(walk)] for walk in going])
        going = [walk for walk in going if not walk.over]
    return found
