"""The environment of VM rescheduling, one by one and in batches."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import optsched.envs
from optsched.check import check
from optsched.envs.vm_batch import VMReschedulingBatch
from optsched.envs.vm_rescheduling import PATIENCE, VMRescheduling
from optsched.envs.vm_tables import Settings
from optsched.errors import InputError
from optsched.generate.vm import snapshot
from optsched.kernels import layout
from optsched.objective import evaluate, scalar, scalar_weights
from optsched.plan import Placement
from optsched.problem import Hosts, Items, PlacementProblem

ID = "optsched.envs:optsched/VMRescheduling-v0"
SMALL: dict[str, Any] = {"pms": 6, "moves": 5, "load": "low"}


def play(env: gym.Env[Any, Any], rng: np.random.Generator) -> tuple[float, list[Any]]:
    """A random legal episode without the stop: the sum of rewards, and all observations."""
    total, seen, over = 0.0, [], False
    while not over:
        mask = env.get_wrapper_attr("action_masks")()
        legal = np.flatnonzero(mask[:-1])
        action = int(rng.choice(legal)) if len(legal) else len(mask) - 1
        observation, reward, over, cut, _ = env.step(action)
        assert not cut
        total += float(reward)
        seen.append(observation)
    return total, seen


@pytest.mark.parametrize(("moves", "mode"), [(1, "ansi"), (5, "ansi"), (5, "rgb_array")])
def test_it_keeps_the_rules_of_gymnasium(moves: int, mode: str) -> None:
    """The checker of Gymnasium finds nothing, warnings included."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gym.make(ID, pms=6, moves=moves, render_mode=mode)
        check_env(env.unwrapped)
        env.close()


def test_rewards_add_up_to_the_objective() -> None:
    """Over random episodes on drawn instances, rewards are what the plan gains, times the scale."""
    env = gym.make(ID, reward_scale=0.25, **SMALL)
    rng = np.random.default_rng(0)
    for seed in range(5):
        _, info = env.reset(seed=seed)
        total, _ = play(env, rng)
        inner = env.unwrapped
        assert isinstance(inner, VMRescheduling)
        plan, problem = inner.plan(), snapshot(info["seed"], pms=6, load="low")
        weights = scalar_weights(problem)
        before = scalar(evaluate(problem, Placement.current(problem)), weights)
        after = scalar(evaluate(problem, plan.placement(problem)), weights)
        assert total == 0.25 * (before - after)
        assert not check(problem, plan).violations
        assert len(plan.moves()) == 5


def test_seeds_repeat_episodes() -> None:
    """The same seed gives the same instances and observations, another one others."""
    env = gym.make(ID, **SMALL)
    runs = []
    for seed in (3, 3, 4):
        first, info = env.reset(seed=seed)
        runs.append((info["seed"], first["groups"], play(env, np.random.default_rng(0))[0]))
    assert runs[0][0] == runs[1][0] != runs[2][0]
    assert (runs[0][1] == runs[1][1]).all()
    assert runs[0][2] == runs[1][2]


def test_observations_stay_as_they_were() -> None:
    """A copied observation does not change with later steps; a view does."""
    for copy in (True, False):
        env = gym.make(ID, copy=copy, disable_env_checker=True, **SMALL)
        first, _ = env.reset(seed=0)
        before = first["groups"].copy()
        play(env, np.random.default_rng(0))
        assert (first["groups"] == before).all() == copy


@pytest.mark.parametrize("illegal", ["refuse", "raise"])
def test_illegal_actions(illegal: str) -> None:
    """They change nothing and end the episode in the long run, or raise."""
    env = VMRescheduling(illegal=illegal, **SMALL)
    first, _ = env.reset(seed=0)
    bad = int(np.flatnonzero(~env.action_masks())[0])
    if illegal == "raise":
        with pytest.raises(InputError, match="not allowed now"):
            env.step(bad)
        return
    for at in range(PATIENCE):
        seen, reward, over, cut, info = env.step(bad)
        assert (reward, over, info["illegal"]) == (0.0, False, True)
        assert all((seen[name] == first[name]).all() for name in seen)
        assert cut == (at == PATIENCE - 1)


def test_pictures_and_words() -> None:
    """`ansi` says how far it is, `rgb_array` shows all cells, and both follow the moves."""
    for mode in ("ansi", "rgb_array"):
        env = gym.make(ID, render_mode=mode, **SMALL)
        env.reset(seed=0)
        before: Any = env.render()
        play(env, np.random.default_rng(0))
        after: Any = env.render()
        if mode == "ansi":
            assert "0 of 5 migrations, fragments" in before
            assert "5 of 5 migrations" in after
        else:
            assert after.dtype == np.uint8
            assert after.ndim == 3
            assert (before != after).any()
    assert VMRescheduling(**SMALL).metadata["render_modes"] == ["ansi", "rgb_array"]


def test_sync_vector() -> None:
    """It runs under Gymnasium's own vector environment, masks included."""
    env = gym.make_vec(ID, num_envs=3, vectorization_mode="sync", **SMALL)
    env.reset(seed=0)
    earned, over = np.zeros(3), np.zeros(3, bool)
    for _ in range(25):
        masks = np.stack(env.call("action_masks"))
        assert masks.shape == (3, env.single_action_space.n)
        actions = np.array(
            [np.random.default_rng(0).choice(np.flatnonzero(m)) if m.any() else 0 for m in masks]
        )
        _, rewards, ended, cut, _ = env.step(actions)
        earned += rewards
        over |= ended | cut
    env.close()
    assert over.all()
    assert (earned != 0).any()


def test_the_batch_is_many_single_ones() -> None:
    """Each of a batch shows, earns and ends as the single environment on the same instance."""
    rng = np.random.default_rng(0)
    batch = gym.make_vec(ID, num_envs=4, vectorization_mode="vector_entry_point", **SMALL)
    assert isinstance(batch, VMReschedulingBatch)
    seen, _ = batch.reset(seed=7)
    singles = [VMRescheduling(**SMALL) for _ in range(4)]
    for n, env in enumerate(singles):
        begun = batch._buffers.begun(n)
        env.reset(options={"problem": begun.problem})
    for _ in range(10):
        masks = batch.action_masks()
        actions = np.array([int(rng.choice(np.flatnonzero(mask[:-1]))) for mask in masks])
        seen, rewards, done, _, infos = batch.step(actions)
        for n, env in enumerate(singles):
            one, reward, over, _, info = env.step(actions[n])
            last = infos["final_obs"][n] if done[n] else {k: v[n] for k, v in seen.items()}
            assert all((one[name] == last[name]).all() for name in one)
            assert (reward, over) == (rewards[n], done[n])
            if over:
                assert infos["levels"][n] == info["levels"]
    assert done.all()
    with pytest.raises(InputError, match="environment 0: action"):
        batch.step(np.full(4, -1))


def test_instances_of_all_sizes() -> None:
    """Smaller problems are padded; larger ones are refused with the way out."""
    env = VMRescheduling(pms=20, moves=3)
    small, large = snapshot(1, pms=4), snapshot(1, pms=60)
    seen, _ = env.reset(options={"problem": small})
    cells = len(small.cells)
    assert (seen["cells"][:cells, -1] == 1).all()
    assert not seen["cells"][cells:].any()
    assert not env.action_masks()[env.tables.groups + cells : -1].any()
    with pytest.raises(InputError, match="larger max_cells"):
        env.reset(options={"problem": large})
    env.reset(options={"instance": 5})
    assert env._seed == 5


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"moves": 0}, "at least 1"),
        ({"order": "park"}, "without a host"),
        ({"order": "any"}, "give 'order-safe'"),
        ({"split": "test"}, "no split"),
        ({"render_mode": "human"}, "render mode"),
        ({"illegal": "ignore"}, "illegal="),
        ({"source": snapshot}, "needs max_cells"),
        (
            {"problem": PlacementProblem.of(Hosts.of([[1]]), Items.of([[1]], host0=[0]))},
            "move by move",
        ),
    ],
)
def test_bad_arguments_are_told(options: dict[str, Any], word: str) -> None:
    """What cannot be is refused in one sentence."""
    with pytest.raises(InputError, match=word):
        VMRescheduling(**options)


def test_bad_calls_are_told() -> None:
    """Steps before a reset, and wishes that reset does not know."""
    env = VMRescheduling(**SMALL)
    with pytest.raises(InputError, match="call reset"):
        env.step(0)
    with pytest.raises(InputError, match="no option 'size'"):
        env.reset(options={"size": 3})
    with pytest.raises(InputError, match="at least 1"):
        VMReschedulingBatch(0)
    with pytest.raises(InputError, match="no option"):
        VMReschedulingBatch(1, Settings(options={"pms": 4})).reset(options={"size": 3})


def test_everything_is_registered() -> None:
    """Importing the package registers every id."""
    assert set(optsched.envs.IDS) <= set(gym.registry)


def test_tables_are_within_their_bounds() -> None:
    """What is shown lies in the space, on loads and memories of all kinds."""
    for options in ({"load": "low"}, {"memory": "mixed"}, {"memory": "tight"}, {"apart": 3}):
        env = VMRescheduling(pms=8, moves=6, **options)
        seen, _ = env.reset(seed=1)
        assert env.observation_space.contains(seen)
        for one in play(env, np.random.default_rng(2))[1]:
            assert env.observation_space.contains(one)
        assert env._buffers.rows[0, layout.OVER]
