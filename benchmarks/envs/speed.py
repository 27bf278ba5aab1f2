"""How many steps a second environments make, observation and mask included: VMs, and tasks.

    python -m benchmarks.envs.speed --table benchmarks/results/envs_speed.md

Random legal actions (tasks go to nodes; none is put off or rejected). Only the environment is on
the clock: steps, masks and resets, on instances that were drawn before. Wall time says what one
gets on this machine now, processor time what one would get on a core of one's own.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, Self

import gymnasium as gym
import numpy as np

from benchmarks import machine
from benchmarks.markdown import markdown
from optsched.envs.task_placement import TaskPlacement
from optsched.envs.vm_batch import VMReschedulingBatch
from optsched.envs.vm_rescheduling import VMRescheduling
from optsched.envs.vm_tables import Settings
from optsched.kernels import warm_migration

ID = "optsched.envs:optsched/VMRescheduling-v0"
TASKS = "optsched.envs:optsched/TaskPlacement-v0"


def main() -> None:
    """Measure every arm and print the table."""
    parser = argparse.ArgumentParser(prog="speed", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--pms", type=int, default=279, help="PMs; default 279")
    parser.add_argument("--moves", type=int, default=50, help="per episode; default 50")
    parser.add_argument("--batch", type=int, default=16, help="environments in one; default 16")
    parser.add_argument("--episodes", type=int, default=30, help="per arm; default 30")
    parser.add_argument("--nodes", type=int, nargs="*", default=[8, 16, 32, 64], help="of tasks")
    parser.add_argument("--tasks", type=int, default=200, help="per episode; default 200")
    parser.add_argument("--seed", type=int, default=0, help="of the instances; default 0")
    parser.add_argument("--table", type=Path, help="write the table here, as markdown")
    args = parser.parse_args()
    warm_migration()
    rows: list[list[object]] = [["arm", "observation", "steps/s", "steps per CPU s", "VMs"]]
    for copy in (False, True):
        shown = "full copies" if copy else "changed rows only"
        rows.append([f"batch of {args.batch}", shown, *batched(args, copy)])
        rows.append(["single", shown, *single(args, copy, made=False)])
        rows.append(["single, by gymnasium.make", shown, *single(args, copy, made=True)])
    page = "# Speed of the environments\n\n" + machine.header(
        "gymnasium", PMs=args.pms, migrations_per_episode=args.moves,
        tasks_per_episode=args.tasks, episodes=args.episodes, load=machine.load(),
    )  # fmt: skip
    page += "\n\n## VM rescheduling\n\n" + markdown(rows)
    page += "\n## Placement of tasks, one process\n\n" + markdown(placement(args))
    print(page)
    if args.table:
        args.table.write_text(page, "utf-8")


class Clock:
    """Sums wall and processor time of what runs within it."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def __enter__(self) -> Self:
        self._begun = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *exc: object) -> None:
        self.wall += time.perf_counter() - self._begun[0]
        self.cpu += time.process_time() - self._begun[1]

    def rates(self, steps: int) -> tuple[str, str]:
        """Steps per second of both."""
        return f"{steps / self.wall:,.0f}", f"{steps / self.cpu:,.0f}"


def batched(args: argparse.Namespace, copy: bool) -> tuple[object, ...]:
    """Steps of a batch; all of it count."""
    settings = Settings(moves=args.moves, options={"pms": args.pms}, instances=8)
    env = VMReschedulingBatch(args.batch, settings, copy=copy, keep_last=False)
    rng = np.random.default_rng(args.seed)
    for seed in env.tables.pool.seeds:
        env.tables.pool.get(seed)
    clock = Clock()
    steps = 0
    rounds = max(args.episodes * 100 // args.batch, 2 * args.moves)
    env.reset(seed=args.seed)
    for _ in range(rounds):
        masks = env.action_masks()
        actions = np.array([rng.choice(np.flatnonzero(mask[:-1])) for mask in masks])
        with clock:
            env.step(actions)
            env.action_masks()
        steps += args.batch
    vms = len(env.tables.pool.get(0).problem.items)
    return *clock.rates(steps), vms


def replayed(
    env: Any, pick: Callable[[np.ndarray, np.random.Generator], int], episodes: int, seed: int
) -> tuple[str, str]:
    """Rates of an episode that is played again and again, resets included.

    `pick` chooses its actions from the masks the first time, off the clock.
    """
    masks, rng = env.get_wrapper_attr("action_masks"), np.random.default_rng(seed)
    env.reset(seed=seed)
    actions, over = list[int](), False
    while not over:
        actions.append(pick(masks(), rng))
        over = env.step(actions[-1])[2]
    with Clock() as clock:
        for _ in range(episodes):
            env.reset(seed=seed)
            for action in actions:
                env.step(action)
                masks()
    return clock.rates(episodes * len(actions))


def single(args: argparse.Namespace, copy: bool, made: bool) -> tuple[object, ...]:
    """Steps of one environment."""
    options: dict[str, Any] = {"pms": args.pms, "moves": args.moves, "copy": copy, "instances": 1}
    env: Any = gym.make(ID, **options) if made else VMRescheduling(**options)
    wall, cpu = replayed(
        env, lambda mask, rng: int(rng.choice(np.flatnonzero(mask[:-1]))), args.episodes, args.seed
    )
    return wall, cpu, len(env.unwrapped.tables.pool.get(0).problem.items)


def placement(args: argparse.Namespace) -> list[list[object]]:
    """Decisions a second on clusters of several sizes."""

    def pick(mask: np.ndarray, rng: np.random.Generator) -> int:
        able = np.flatnonzero(mask[:-2])
        return int(rng.choice(able)) if len(able) else len(mask) - 1

    rows: list[list[object]] = [["nodes", "load", "arm", "decisions/s", "decisions per CPU s"]]
    for nodes, rate, made in product(args.nodes, (0.8, 1.1), (False, True)):
        options: dict[str, Any] = {
            "nodes": nodes,
            "count": args.tasks,
            "load": rate,
            "instances": 1,
        }
        env: Any = gym.make(TASKS, **options) if made else TaskPlacement(**options)
        wall, cpu = replayed(env, pick, args.episodes, args.seed)
        rows.append([nodes, rate, "by gymnasium.make" if made else "the class", wall, cpu])
    return rows


if __name__ == "__main__":
    main()
