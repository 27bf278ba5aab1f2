"""The environment of pods that arrive one by one."""

from __future__ import annotations

import itertools
import warnings
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from optsched.check import check
from optsched.envs.pod_batch import PodPackingBatch
from optsched.envs.pod_packing import PATIENCE, PodPacking
from optsched.envs.pool import Pool
from optsched.envs.seeds import seeds
from optsched.errors import InputError
from optsched.generate import paper
from optsched.levels import TermKind
from optsched.objective import evaluate, scalar
from optsched.plan import Placement
from optsched.problem import Hosts, Items, Limit, LimitKind, PlacementProblem, Where
from optsched.rules import candidates
from optsched.simulate.arrivals import Arrivals
from optsched.state import State

ID = "optsched.envs:optsched/PodPacking-v0"


@pytest.mark.parametrize("mode", ["ansi", "rgb_array"])
def test_it_keeps_the_rules_of_gymnasium(mode: str) -> None:
    """The checker of Gymnasium finds nothing, warnings included."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(ID, nodes=3, render_mode=mode).unwrapped)


def test_sync_vector() -> None:
    """It runs under Gymnasium's own vector environment, masks included, to the end of episodes."""
    env = gym.make_vec(ID, num_envs=3, vectorization_mode="sync", nodes=3)
    env.reset(seed=0)
    earned, ends = np.zeros(3), np.zeros(3, int)
    for _ in range(30):
        masks = np.stack(env.call("action_masks"))
        assert masks.shape == (3, env.single_action_space.n)
        actions = np.array([np.flatnonzero(m)[0] if m.any() else 0 for m in masks])
        _, rewards, over, cut, _ = env.step(actions)
        earned += rewards
        ends += over | cut
    env.close()
    assert (ends >= 2).all()
    assert (earned > 0).all()


def test_the_batch_is_an_environment_of_gymnasium() -> None:
    """`make_vec` gives it, spaces hold what it shows, and ends are told as Gymnasium tells them."""
    options: dict[str, Any] = {"nodes": 3, "priorities": 2, "split": "validation"}
    env = gym.make_vec(ID, num_envs=4, vectorization_mode="vector_entry_point", **options)
    assert isinstance(env, PodPackingBatch)
    assert env.metadata["autoreset_mode"] is gym.vector.AutoresetMode.SAME_STEP
    seen, _ = env.reset(seed=3)
    assert env.observation_space.contains(seen)
    again, _ = env.reset(seed=3)
    assert all((seen[name] == again[name]).all() for name in seen)
    earned, told = np.zeros(4), 0
    for _ in range(40):
        actions = np.array([np.flatnonzero(m)[0] for m in env.action_masks()])
        seen, rewards, done, cut, infos = env.step(actions)
        earned += rewards
        assert env.observation_space.contains(seen)
        assert not cut.any()
        for n in np.flatnonzero(done).tolist():
            assert infos["_final_obs"][n]
            assert env.single_observation_space.contains(infos["final_obs"][n])
            assert infos["gain"][n] == pytest.approx(earned[n])
            earned[n], told = 0.0, told + 1
    assert told >= 8
    assert env.pool.seeds == seeds("validation")
    with pytest.raises(InputError, match="no option"):
        env.reset(options={"pods": 3})


def test_ten_thousand_bindings_leave_no_drift() -> None:
    """State and all that is shown are, bit for bit, what a fresh look at the bindings gives."""
    made, seed = 0, 0
    while made < 10_000:
        problem = paper.problem(paper.instance(seed, 64, 8, 4, 105))
        walk, rng, host = Arrivals(problem), np.random.default_rng(seed), problem.items.host0.copy()
        while not walk.over:
            item, action = int(walk.queue[walk.at]), int(rng.choice(np.flatnonzero(walk.mask)))
            host[item] = action if action < walk.nodes else -1
            walk.step(action)
            made += 1
            if made % 97:
                continue
            again = Arrivals(problem)
            again.state = State(problem, Placement(host, walk.state.cells))
            again.at, again.left = walk.at, walk.left
            again._look()
            assert (again.state.use == walk.state.use).all()
            assert again.mask.tobytes() == walk.mask.tobytes()
            for one, other in zip(again.see(), walk.see(), strict=True):
                assert one.tobytes() == other.tobytes()
        seed += 1


def limited() -> PlacementProblem:
    """Two nodes with something on one, a conflict, and a pod that no node can hold."""
    hosts = Hosts.of([[10, 10], [8, 12]], drain=[False, False])
    items = Items.of(
        [[3, 1], [3, 1], [4, 4], [99, 1], [2, 2], [1, 6]],
        host0=[0, -1, -1, -1, -1, -1],
        tier=[0, 0, 1, 0, 1, 2],
    )
    where = Where.of(hosts, items, groups=[[0, 1, 4]], group_names=["apart"])
    rule = Limit(LimitKind.MAX, key=0, subject=0, counted=0, bound=1, name="apart")
    return PlacementProblem.of(hosts, items, where=where, limits=[rule])


@pytest.mark.parametrize("seed", range(4))
def test_masks_and_rewards_are_those_of_rules_and_objective(seed: int) -> None:
    """In every step of random episodes, on drawn instances and one with limits."""
    given = limited() if seed == 0 else None
    env, rng = PodPacking(nodes=4, problem=given), np.random.default_rng(seed)
    _, info = env.reset(seed=seed)
    problem = env.problem
    state, total, over = State(problem), 0.0, False
    weights = env._scale
    queue = np.flatnonzero(problem.items.host0 < 0).tolist()
    for item in queue:
        assert not over
        free = candidates(state, item)
        assert env.action_masks()[:-1].tolist() == free.tolist()
        assert env.action_masks()[-1]
        action = int(rng.choice(np.flatnonzero(env.action_masks())))
        seen, reward, over, cut, info = env.step(action)
        if action < env.nodes:
            state.place(item, action)
        assert env.observation_space.contains(seen)
        assert info["levels"] == evaluate(problem, state.placement())
        assert not cut
        total += reward
    assert over
    assert not env.action_masks().any()
    before = scalar(evaluate(problem, Placement.current(problem)), weights)
    assert total == before - scalar(evaluate(problem, state.placement()), weights)
    report = check(problem, env.plan())
    assert not report.violations
    assert report.levels == info["levels"]
    runs = np.bincount(problem.items.tier[state.host >= 0], minlength=len(problem.tiers))
    assert info["placed"] == runs.tolist()


def test_higher_tiers_are_worth_more_than_all_lower_ones() -> None:
    """The default weights order placements as the levels do."""
    env = PodPacking(nodes=4, priorities=3)
    env.reset(seed=0)
    weights = [weight for weight in env._scale if weight]
    pods = len(env.problem.items)
    assert len(weights) == 3
    for high, low in itertools.pairwise(weights):
        assert high > pods * low


def test_seeds_repeat_and_stay_in_their_split() -> None:
    """The same seed gives the same pods; instances are of the split."""
    env = gym.make(ID, split="heldout")
    first, info = env.reset(seed=5)
    again, other = env.reset(seed=5)
    assert all((first[name] == again[name]).all() for name in first)
    assert info["seed"] == other["seed"]
    assert info["seed"] in seeds("heldout")
    assert env.reset(seed=6)[1]["seed"] != info["seed"]


def test_illegal_actions_change_nothing() -> None:
    """They are told, and cut the episode short in the end."""
    env = PodPacking(problem=limited())
    first, _ = env.reset(seed=0)
    for at in range(PATIENCE):
        seen, reward, over, cut, info = env.step(99)
        assert (reward, over, info["illegal"]) == (0, False, True)
        assert all((seen[name] == first[name]).all() for name in seen)
        assert cut == (at == PATIENCE - 1)


def test_pictures_and_words() -> None:
    """Both follow what is bound."""
    for mode in ("ansi", "rgb_array"):
        env: Any = gym.make(ID, render_mode=mode, nodes=3)
        env.reset(seed=0)
        before = env.render()
        env.step(int(np.flatnonzero(env.get_wrapper_attr("action_masks")())[0]))
        after = env.render()
        assert (before != after) if mode == "ansi" else (before != after).any()


def test_bad_arguments_are_told() -> None:
    """What cannot be played is refused in one sentence."""
    problem = limited()
    bound = replace(problem.items, host0=np.zeros(len(problem.items), np.int64))
    for options, word in (
        ({"problem": problem.replace(items=bound)}, "nothing is pending"),
        ({"problem": problem, "weights": [1]}, "1 weights for"),
        ({"render_mode": "human"}, "render mode"),
        ({"split": "test"}, "no split"),
    ):
        with pytest.raises(InputError, match=word):
            PodPacking(**options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="call reset"):
        PodPacking().action_masks()
    with pytest.raises(InputError, match="made for 1; make"):
        PodPacking(nodes=1).reset(options={"problem": problem})
    with pytest.raises(InputError, match="no option"):
        PodPacking().reset(options={"pods": 3})


def test_many_are_as_many_single_ones() -> None:
    """Each of a batch shows, allows, earns and ends as the single environment with its weights."""
    problems = [paper.problem(paper.instance(seed, 3 + seed, 3, 4, 95)) for seed in range(3)]
    pool = Pool(lambda seed: problems[seed % 3], "train", 3)
    batch = PodPackingBatch(3, pool, nodes=6, ratio=2.0)
    seen, singles = batch.begin(problems), []
    weights = [0] * len(problems[0].objective)
    for tier in range(4):
        name = problems[0].objective[3 * tier].terms[0]
        assert (name.kind, name.tier) == (TermKind.UNPLACED, tier)
        weights[3 * tier] = 2 ** (3 - tier)
    for problem in problems:
        env = PodPacking(nodes=6, weights=weights, reward_scale=1 / 8)
        singles.append((env, env.reset(options={"problem": problem})[0]))
    rng = np.random.default_rng(0)
    while not batch.over.all():
        masks = batch.action_masks()
        actions = np.array([rng.choice(np.flatnonzero(m)) if m.any() else -1 for m in masks])
        going, rewards = ~batch.over, batch.play(actions)
        for n, (env, one) in enumerate(singles):
            assert (env.action_masks() == masks[n]).all()
            for name, table in one.items():
                assert np.allclose(table, seen[name][n], atol=1e-6)
            if going[n]:
                after, reward, over, _, info = env.step(actions[n])
                singles[n] = env, after
                assert reward == pytest.approx(rewards[n])
                assert over == batch.over[n]
                assert info["placed"] == batch.placed(n)
                assert info["levels"] == batch.levels(n)
        seen = batch.see()
    with pytest.raises(InputError, match="single environment"):
        batch.begin([limited()])


def test_copies_go_on_by_themselves() -> None:
    """From the same state, with the same or other pods to come, and the first ones stay."""
    problems = [paper.problem(paper.instance(seed, 4, 4, 3, 95)) for seed in range(3)]
    batch = PodPackingBatch(3, Pool(lambda seed: problems[0]), nodes=4)
    batch.begin(problems[:2])
    for _ in range(5):
        batch.play(batch.action_masks().argmax(axis=1))
        batch.see()
    before, rows = batch.see(), np.array([1, 0, 1])
    others = batch.copies(rows)
    for name, table in others.see().items():
        assert (table == before[name][rows]).all()
    # As in a problem of the same pods so far and other ones to come.
    whole, at = problems[2].items, 6
    others.foresee(2, whole.demand[at:], whole.tier[at:])
    with pytest.raises(InputError, match="9 pods to come in place of 10"):
        others.foresee(1, whole.demand[at + 1 :], whole.tier[at + 1 :])
    own = problems[1].items
    joined = [np.concatenate([own.demand[:at], whole.demand[at:]]),
              np.concatenate([own.tier[:at], whole.tier[at:]])]  # fmt: skip
    mixed = problems[1].replace(items=replace(own, demand=joined[0], tier=joined[1]))
    alone = PodPackingBatch(3, batch.pool, nodes=4)
    alone.begin([problems[1], problems[0], mixed])
    for ways in zip(*(batch.bound[n] for n in rows), strict=True):
        alone.play(np.array([4 if way < 0 else way for way in ways]))
        alone.see()
    while not alone.over.all():
        seen, there = others.see(), alone.see()
        assert (others.action_masks() == alone.action_masks()).all()
        assert all((seen[name] == table).all() for name, table in there.items())
        actions = alone.action_masks().argmax(axis=1)
        assert (others.play(actions) == alone.play(actions)).all()
    assert others.over.all()
    assert others.earned().tolist() == alone.earned().tolist()
    assert [others.placed(n) for n in range(3)] == [alone.placed(n) for n in range(3)]
    assert all((table == before[name]).all() for name, table in batch.see().items())
    assert [len(way) for way in batch.bound] == [5, 5]
