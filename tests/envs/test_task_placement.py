"""The environment of tasks that arrive over time."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from optsched.envs.seeds import seeds
from optsched.envs.task_placement import PATIENCE, TaskPlacement
from optsched.errors import InputError
from optsched.generate.tasks import tasks as draw
from optsched.kernels import views
from optsched.solvers.scheduling import RULES
from optsched.tasks import evaluate

ID = "optsched.envs:optsched/TaskPlacement-v0"
WILD = {"noise": 0.4, "drift": 0.4, "stale": 2000, "failures": 200.0, "repair": 3000}


def test_it_keeps_the_rules_of_gymnasium() -> None:
    """The checker of Gymnasium finds nothing, warnings included."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(ID, nodes=4, count=20, render_mode="ansi").unwrapped)


@pytest.mark.parametrize("seed", range(6))
def test_rewards_add_up_to_the_evaluator(seed: int) -> None:
    """Random episodes with noise, failures and links that take turns; masks are never empty."""
    options: dict[str, Any] = WILD if seed % 2 else {}
    wanted = "sla,response:2+energy" if seed == 2 else ""
    env, rng = (
        TaskPlacement(nodes=5, count=40, burst=True, turns=seed > 3, objective=wanted, **options),
        np.random.default_rng(seed),
    )
    seen, info = env.reset(seed=seed)
    run = env._begun()
    base, total, over = run.value, 0.0, False
    while not over:
        mask = env.action_masks()
        assert mask[-1]
        begins = run.begins()
        assert (mask[:5] == (begins >= 0)).all()
        seen, reward, over, cut, info = env.step(int(rng.choice(np.flatnonzero(mask))))
        assert env.observation_space.contains(seen)
        assert np.isfinite(seen["nodes"]).all()
        assert not cut
        total += reward
    assert not env.action_masks().any()
    played = env.score()
    assert played.evaluation.violations == ()
    assert info["levels"] == played.evaluation.levels
    value = np.array(played.evaluation.levels)
    scale = np.array([1000, 1]) if wanted else np.array([1])
    assert total == base - (value * scale).sum()


def test_the_first_column_of_answers_is_eft() -> None:
    """Following the least of it is earliest finish time, node by node."""
    problem = draw(3, nodes=6, count=80, load=1.2)
    env = TaskPlacement(problem=problem)
    seen, _ = env.reset()
    over = False
    while not over:
        mask = env.action_masks()
        answer = np.where(mask[:-2], seen["nodes"][:, views.EFT], np.inf)
        action = int(answer.argmin()) if mask[:-2].any() else len(mask) - 1
        seen, _, over, _, _ = env.step(action)
    planned = RULES["eft"](problem, 0)
    done = env.score().schedule
    assert done.node.tolist() == planned.node.tolist()
    assert evaluate(problem, done).response.tolist() == evaluate(problem, planned).response.tolist()


def test_policies_meet_the_same_world() -> None:
    """Whatever is decided, work, links and failures of an instance are the same."""
    worlds = []
    for action in (0, -1):
        env = TaskPlacement(nodes=4, count=30, **WILD)  # type: ignore[arg-type]
        env.reset(options={"instance": 7})
        over = False
        while not over:
            legal = np.flatnonzero(env.action_masks())
            _, _, over, _, _ = env.step(int(legal[0] if action == 0 else legal[-1]))
        world = env._begun().world
        worlds.append((world.true.digest(), world.failures.tolist()))
    assert worlds[0] == worlds[1]


def test_padding_changes_nothing() -> None:
    """More room for nodes gives the same rows, then zeros."""
    problem = draw(0, nodes=5, count=20)
    small, large = TaskPlacement(problem=problem, nodes=5), TaskPlacement(problem=problem, nodes=9)
    one, two = small.reset()[0], large.reset()[0]
    assert (two["nodes"][:5] == one["nodes"]).all()
    assert not two["nodes"][5:].any()
    assert (one["task"] == two["task"]).all()
    assert (large.action_masks()[:5] == small.action_masks()[:5]).all()
    assert not large.action_masks()[5:9].any()


def test_seeds_repeat_and_stay_in_their_split() -> None:
    """The same seed gives the same tasks; instances are of the split."""
    env = gym.make(ID, split="heldout", count=10)
    first, info = env.reset(seed=5)
    again, other = env.reset(seed=5)
    assert all((first[name] == again[name]).all() for name in first)
    assert info["seed"] == other["seed"]
    assert info["seed"] in seeds("heldout")
    assert env.reset(seed=6)[1]["seed"] != info["seed"]


def test_illegal_actions_change_nothing() -> None:
    """They are told, and cut the episode short in the end."""
    env = TaskPlacement(nodes=4, count=10)
    first, _ = env.reset(seed=0)
    for at in range(PATIENCE):
        seen, reward, over, cut, info = env.step(99)
        assert (reward, over, info["illegal"]) == (0, False, True)
        assert all((seen[name] == first[name]).all() for name in seen)
        assert cut == (at == PATIENCE - 1)


def test_pictures_and_words() -> None:
    """Both follow what runs."""
    for mode in ("ansi", "rgb_array"):
        env: Any = gym.make(ID, render_mode=mode, nodes=4, count=10)
        env.reset(seed=0)
        before = env.render()
        for _ in range(4):
            env.step(int(np.flatnonzero(env.get_wrapper_attr("action_masks")())[0]))
        after = env.render()
        assert (before != after) if mode == "ansi" else (before != after).any()


def test_bad_arguments_are_told() -> None:
    """What cannot be played is refused in one sentence."""
    problem = draw(0, nodes=5, count=5)
    for options, word in (
        ({"render_mode": "human"}, "render mode"),
        ({"split": "test"}, "no split"),
        ({"noise": -1}, "noise is -1"),
        ({"objective": "luck"}, "no goal"),
    ):
        with pytest.raises(InputError, match=word):
            TaskPlacement(**options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="call reset"):
        TaskPlacement().action_masks()
    with pytest.raises(InputError, match="made for 4"):
        TaskPlacement(nodes=4).reset(options={"problem": problem})
    with pytest.raises(InputError, match="no option"):
        TaskPlacement().reset(options={"pods": 3})
