"""Runs of many episodes at once for training: instances, observations, experts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from optsched.agents.placement_network import PlacementNetwork, masked
from optsched.budget import Budget
from optsched.envs.seeds import seeds
from optsched.errors import InputError
from optsched.generate.tasks import tasks as generated
from optsched.kernels import views
from optsched.simulate import Knobs, World
from optsched.simulate.episodes import Episode, in_one_sum, weighed
from optsched.solvers.scheduling.rules import RULES
from optsched.solvers.scheduling.solvers import Portfolio
from optsched.tasks import Goal, Mix, Objective, TaskProblem

RANGES = {"nodes": (3, 1000), "count": (1, 100_000), "load": (1e-3, 99)}  # of env_kwargs
SHARES = {"noisy": 1.0, "spread": 10.0, "turns": 1.0}  # and the most of these

Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Look:
    """An observation: nodes (n, NODE_WIDE), task (TASK_WIDE,), mask (n + 2,)."""

    nodes: np.ndarray
    task: np.ndarray
    mask: np.ndarray


def collate(looks: Sequence[Look]) -> Batch:
    """Padded to the largest: nodes (B, N, NODE_WIDE), tasks (B, TASK_WIDE), masks (B, N + 2)."""
    most = max(len(look.nodes) for look in looks)
    nodes = np.zeros((len(looks), most, views.NODE_WIDE), np.float32)
    masks = np.zeros((len(looks), most + 2), bool)
    for row, look in enumerate(looks):
        count = len(look.nodes)
        nodes[row, :count] = look.nodes
        masks[row, :count], masks[row, most:] = look.mask[:count], look.mask[count:]
    return nodes, np.stack([look.task for look in looks]), masks


def scored(network: PlacementNetwork, batch: Batch) -> torch.Tensor:
    """(B, N + 2) masked scores."""
    device = network.greed.device
    nodes, task, mask = (torch.from_numpy(part).to(device) for part in batch)
    return masked(network(nodes, task), mask)


@dataclass
class Trace:
    """What happened in an episode, one entry a decision.

    Attributes
    ----------
    looks, actions, chances
        What was seen, what was done (a node, or n and n + 1 of n nodes), and its log probability.
    tasks, gains
        Which task it was about, and by how much the objective fell, in what EFT loses for a task on
        average.
    """

    looks: list[Look] = field(default_factory=list)
    actions: list[int] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)
    tasks: list[int] = field(default_factory=list)
    gains: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Instance:
    """A world, and what EFT loses in it for a task on average, as unit of gains."""

    world: World
    unit: float

    @classmethod
    def of(cls, world: World) -> Instance:
        """Play EFT once."""
        run = Episode(world)
        base = run.value
        run.follow()
        return cls(world, max(1.0, (run.value - base) / len(world.seen.tasks)))


def check_env(env: dict[str, Any]) -> None:
    """Refuse `env_kwargs` that make no instances.

    Raises
    ------
    InputError
        One is unknown, missing, or out of its range.
    """
    names = {*RANGES, *SHARES, "objective"}
    for name in env:
        if name not in names:
            raise InputError(
                f"env_kwargs know no {name[:40]!r}; there are {', '.join(sorted(names))}"
            )
    for name, (least, most) in RANGES.items():
        given = env.get(name)
        pair: list[Any] = given if isinstance(given, list) and len(given) == 2 else [None, None]
        if not all(_number(one) and least <= one <= most for one in pair) or pair[0] > pair[1]:
            raise InputError(
                f"env_kwargs.{name} is {given!r}: give two numbers, [least, most], from {least:g} "
                f"to {most:g}"
            )
    for name, high in SHARES.items():
        given = env.get(name, 0.0)
        if not _number(given) or not 0 <= given <= high:
            raise InputError(f"env_kwargs.{name} is {given!r}: give a number from 0 to {high:g}")
    wanted = env.get("objective", "")
    if not isinstance(wanted, str):
        raise InputError(f"env_kwargs.objective is {wanted!r}: give words as in 'sla,response'")
    if wanted:
        Objective.parse(wanted)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def instance(seed: int, env: dict[str, Any]) -> Instance:
    """A varied instance by its seed: sizes, loads, bursts, objectives, and half with noise.

    A wanted objective is the same in all; its levels are put in one sum.
    """
    rng = np.random.default_rng([seed, 1])
    low, high = env["nodes"]
    nodes = int(rng.integers(max(3, int(low)), int(high) + 1))
    count = int(rng.integers(env["count"][0], env["count"][1] + 1))
    problem = generated(
        seed, nodes=nodes, count=count, load=float(rng.uniform(*env["load"])),
        burst=bool(rng.random() < 0.5), sleeping=float(rng.uniform(0, 0.5)),
        turns=bool(np.random.default_rng([seed, 2]).random() < env.get("turns", 0.0)),
    )  # fmt: skip
    if env.get("objective"):
        problem = problem.replace(objective=in_one_sum(Objective.parse(env["objective"])))
    else:
        problem = varied(weighed(problem), rng, float(env["spread"]))
    knobs = Knobs()
    if rng.random() < env["noisy"]:
        knobs = Knobs(
            noise=float(rng.uniform(0, 0.4)), drift=float(rng.uniform(0, 0.4)),
            stale=int(rng.integers(0, 3000)), failures=float(rng.choice([0, 0, 60])),
        )  # fmt: skip
    return Instance.of(World.of(problem, knobs, seed))


def varied(problem: TaskProblem, rng: np.random.Generator, spread: float) -> TaskProblem:
    """Other weights of energy and lateness, up to a factor of exp(spread); usually the same."""
    if spread == 0 or rng.random() < 0.5:
        return problem
    mix = dict(problem.objective.weights(0))
    by = np.exp(rng.uniform(-spread, spread, 2))
    mix[Goal.RESPONSE] = max(1, round(mix[Goal.RESPONSE] * float(by[0])))
    mix[Goal.LATENESS] = max(1, round(mix[Goal.LATENESS] * float(by[1])))
    return problem.replace(objective=Objective((Mix(tuple(mix.items())),)))


def play(
    network: PlacementNetwork,
    instances: Sequence[Instance],
    rng: np.random.Generator,
    warmth: float = 1.0,
) -> list[Trace]:
    """One episode of each in step; sampled at a temperature, or at 0 by the best scores."""
    runs = [Episode(one.world) for one in instances]
    traces = [Trace() for _ in runs]
    going = [k for k, run in enumerate(runs) if run.task >= 0]
    with torch.no_grad():
        while going:
            looks = [
                Look(runs[k].nodes.copy(), runs[k].facts.copy(), runs[k].mask.copy()) for k in going
            ]
            scores = scored(network, collate(looks))
            chance = torch.log_softmax(scores / (warmth or 1.0), dim=-1).cpu().numpy()
            noisy = chance + rng.gumbel(size=chance.shape) if warmth else chance
            most = chance.shape[1] - 2
            for row, k in enumerate(going):
                chosen, count = int(noisy[row].argmax()), len(looks[row].nodes)
                action = chosen if chosen < most else count + chosen - most
                trace = traces[k]
                trace.looks.append(looks[row])
                trace.actions.append(action)
                trace.chances.append(float(chance[row, chosen]))
                trace.tasks.append(runs[k].task)
                gain = runs[k].step(action)
                assert gain is not None, "the mask is true"
                trace.gains.append(gain / instances[k].unit)
            going = [k for k in going if runs[k].task >= 0]
    return traces


@dataclass(frozen=True)
class Lesson:
    """A decision, and what each choice loses beside the best: (n + 2,) in units; inf: very much."""

    look: Look
    lost: np.ndarray


def lessons(
    network: PlacementNetwork,
    instances: Sequence[Instance],
    rng: np.random.Generator,
    own: float,
    late: float = 0.0,
) -> list[Lesson]:
    """What a teacher says of every decision of some episodes.

    It plays every choice to the end by EFT, in the world as it is. Episodes are those of the
    network (a share `own` of them), so that it learns what to do where it gets to itself; of EFT
    that turns no node on (a share `late`), where work piles up and it is time to; or of the
    teacher's own choices, in which that moment is one in a hundred.
    """
    found = []
    for one in instances:
        run, draw = Episode(one.world), rng.random()
        while run.task >= 0:
            look = Look(run.nodes.copy(), run.facts.copy(), run.mask.copy())
            if not look.mask[:-2].any():
                run.step(len(look.mask) - (2 if look.mask[-2] else 1))
                continue
            values = run.foresee()
            lost = np.append((values - values.min()) / one.unit, (np.inf, np.inf))
            found.append(Lesson(look, lost))
            chosen = int(lost.argmin())
            if draw < own:
                with torch.no_grad():
                    chosen = int(scored(network, collate([look]))[0].argmax())
            elif draw < own + late:
                chosen = int(views.soonest(run.setting, run.live, run.task, False))
            run.step(chosen)
    return found


def solved(seed: int, env: dict[str, Any], seconds: float) -> list[Lesson]:
    """Decisions of the best schedule of rules, colony and CP-SAT, which know the whole future."""
    one = instance(seed, env | {"noisy": 0.0})
    problem = one.world.seen
    eft = RULES["eft"](problem, seed)
    plan, _ = Portfolio().search(problem, Budget.of(seconds), seed, [eft])
    run, found = Episode(one.world), []
    while run.task >= 0:
        node = int(plan.node[run.task])
        if node < 0 or not run.mask[node]:
            break
        lost = np.where(run.mask, 1.0, np.inf)
        lost[node] = 0.0
        found.append(Lesson(Look(run.nodes.copy(), run.facts.copy(), run.mask.copy()), lost))
        run.step(node)
    return found


def pick(rng: np.random.Generator, split: str = "train") -> int:
    """A seed of a split."""
    own = seeds(split)
    return int(rng.integers(own.start, own.stop))
