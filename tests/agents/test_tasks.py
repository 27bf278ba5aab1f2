"""The agent for tasks: what its network respects, how it learns, and that it can be served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sb3_contrib", reason="training needs the extra rl: pip install 'optsched[rl]'")
import torch

from optsched.agents.export import export_run
from optsched.agents.folder import Folder
from optsched.agents.hyperparameters import read
from optsched.agents.placement_network import PlacementNetwork
from optsched.agents.placing import (
    Look,
    Trace,
    check_env,
    collate,
    instance,
    lessons,
    play,
    scored,
    solved,
)
from optsched.agents.placing_ants import AntTuning, believed, places, released, surprise
from optsched.agents.placing_course import PlacementCourse, PlacementMeasure, regret
from optsched.agents.placing_ppo import PlacementLearner, _returns
from optsched.agents.training import Training, train
from optsched.budget import Budget
from optsched.errors import OptschedError
from optsched.generate.tasks import tasks as draw
from optsched.simulate import World
from optsched.simulate.episodes import Episode, weighed
from optsched.solvers.scheduling.agent import load
from optsched.solvers.scheduling.agent import play as serve
from optsched.tasks import Goal, Objective, evaluate


@pytest.fixture
def tiny() -> dict[str, Any]:
    """Hyperparameters of a run that takes seconds."""
    changes = {
        "env_kwargs.nodes": "[4, 6]", "env_kwargs.count": "[12, 16]", "clone.rounds": "2",
        "clone.first": "2", "clone.lessons_per_round": "2", "clone.updates_per_round": "4",
        "clone.batch_size": "32", "clone.solved": "1.0", "clone.seconds": "0.01",
        "n_timesteps": "200", "n_worlds": "2", "n_rollouts": "3", "batch_size": "64",
        "n_epochs": "1", "validate.every": "1", "validate.instances": "3",
        "ants.rounds": "2", "ants.worlds": "1", "ants.ants": "4", "ants.every": "1",
    }  # fmt: skip
    return read("task-placement", None, changes)


def some_looks(network: PlacementNetwork, seed: int = 0) -> list[Look]:
    """Observations of an episode with seven nodes."""
    world = World.of(weighed(draw(seed, nodes=7, count=30, load=1.2)))
    run, found = Episode(world), []
    while run.task >= 0:
        found.append(Look(run.nodes.copy(), run.facts.copy(), run.mask.copy()))
        run.step(int(np.flatnonzero(run.mask)[0]))
    return found


def shaken(seed: int = 0) -> PlacementNetwork:
    """A network whose heads are not zero."""
    torch.manual_seed(seed)
    network = PlacementNetwork()
    with torch.no_grad():
        for part in network.parameters():
            part.add_(0.1 * torch.randn_like(part))
    return network


def test_levels_are_learned_as_one_sum(tiny: dict[str, Any]) -> None:
    """Each counts 1,000 of the next; a course and its measure go by that sum, turns included."""
    tiny["env_kwargs"] |= {"objective": "sla,response,energy", "turns": 1.0}
    one = instance(5, tiny["env_kwargs"])
    assert one.world.seen.objective.text == "sla:1000000+response:1000+energy:1"
    assert one.world.seen.network.shared.any()
    run = Episode(one.world)
    run.follow()
    played = run.score()
    goals = evaluate(
        played.problem.replace(objective=Objective(tuple(Goal))), played.schedule
    ).levels
    assert run.value == 1_000_000 * goals[0] + 1000 * goals[1] + goals[2]
    course = PlacementCourse(PlacementNetwork(), tiny, 0)
    assert [loss > 0 for loss in course.rounds(lambda: False)] == [True, True]
    assert 0 < PlacementMeasure(tiny).gap(course.network) < 100


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pms": 3}, "env_kwargs know no 'pms'; there are count, load, nodes, noisy"),
        ({"nodes": [2, 4]}, r"env_kwargs.nodes is \[2, 4\]: give two numbers"),
        ({"nodes": [9, 4]}, "give two numbers"),
        ({"load": 0.5}, "give two numbers"),
        ({"load": [float("nan"), 1]}, "give two numbers"),
        ({"turns": 2}, "env_kwargs.turns is 2: give a number from 0 to 1"),
        ({"noisy": "much"}, "env_kwargs.noisy is 'much'"),
        ({"objective": "luck"}, "there is no goal 'luck'"),
        ({"objective": 3}, "give words"),
    ],
)
def test_bad_wishes_are_told(tiny: dict[str, Any], change: dict[str, Any], words: str) -> None:
    """In one sentence, before anything is learned."""
    with pytest.raises(OptschedError, match=words):
        check_env(tiny["env_kwargs"] | change)


def test_untrained_it_is_earliest_finish_time(tiny: dict[str, Any]) -> None:
    """Its best choices are those of EFT."""
    one = instance(5, tiny["env_kwargs"])
    trace = play(PlacementNetwork(), [one], np.random.default_rng(0), 0.0)[0]
    run = Episode(one.world)
    base = run.value
    run.follow()
    assert base - sum(trace.gains) * one.unit == pytest.approx(run.value)


@torch.no_grad()
def test_order_and_padding_do_not_matter() -> None:
    """Permuted nodes get permuted scores; more room changes nothing; what is masked is never so."""
    network = shaken()
    looks = some_looks(network)
    rng = np.random.default_rng(0)
    nodes, task, mask = collate(looks)
    scores = scored(network, (nodes, task, mask))
    order = rng.permutation(7)
    turned = np.concatenate([order, [7, 8]])
    again = scored(network, (nodes[:, order].copy(), task, mask[:, turned].copy()))
    assert torch.allclose(scores[:, turned], again, atol=1e-4)
    wide = np.concatenate([nodes, np.zeros((len(nodes), 4, nodes.shape[2]), np.float32)], axis=1)
    more = np.concatenate([mask[:, :7], np.zeros((len(mask), 4), bool), mask[:, 7:]], axis=1)
    padded = scored(network, (wide, task, more))
    kept = [*range(7), 11, 12]
    assert torch.allclose(scores, padded[:, kept], atol=1e-4)
    chance = torch.softmax(scores, dim=-1).numpy()
    assert (chance[~mask] == 0).all()
    assert np.isfinite(chance).all()


def test_putting_off_does_not_pay() -> None:
    """What a task costs counts whole, whenever it is placed; later tasks count less."""
    at_once = Trace(tasks=[0, 1, 2], gains=[-5.0, -1.0, -1.0])
    later = Trace(tasks=[0, 1, 2, 0], gains=[0.0, -1.0, -1.0, -5.0])
    assert _returns(at_once, 0.5)[0] == _returns(later, 0.5)[0] == -5.0 - 0.5 - 0.25


def test_it_is_compared_with_its_own_world(tiny: dict[str, Any]) -> None:
    """Advantages of a task sum to zero over rollouts, whatever comes in the world."""
    learner = PlacementLearner(tiny, 0, "cpu")
    one = instance(3, tiny["env_kwargs"] | {"noisy": 0.0})
    traces = play(shaken(), [one] * 4, np.random.default_rng(0))
    found = learner._advantages(traces)
    total: dict[int, float] = {}
    for trace, own in zip(traces, found, strict=True):
        for task, value in dict(zip(trace.tasks, own.tolist(), strict=True)).items():
            total[task] = total.get(task, 0.0) + value
    whole = [task for task in total if all(task in trace.tasks for trace in traces)]
    assert whole
    assert all(abs(total[task]) < 1e-6 for task in whole)


def test_it_learns_from_its_teacher(tiny: dict[str, Any]) -> None:
    """A few rounds take a good part of what its choices lose on worlds it never saw."""
    wish = {"first": 16, "rounds": 6, "updates_per_round": 30, "solved": 0.0}
    config = tiny | {"clone": tiny["clone"] | wish}
    network = PlacementNetwork()
    rng = np.random.default_rng(0)
    worlds = [instance(900_000_000 + k, tiny["env_kwargs"]) for k in range(30)]
    unseen = lessons(network, worlds, rng, 0.0)
    with torch.no_grad():
        before = float(regret(network, unseen))
    for _ in PlacementCourse(network, config, 0).rounds(lambda: False):
        pass
    with torch.no_grad():
        assert float(regret(network, unseen)) < 0.8 * before


def test_lessons_of_solvers(tiny: dict[str, Any]) -> None:
    """The node of the schedule loses nothing, the others something."""
    found = solved(4, tiny["env_kwargs"], 0.01)
    assert found
    assert all((one.lost == 0).sum() == 1 for one in found)


def test_ants_teach_what_they_find(tiny: dict[str, Any]) -> None:
    """On one world: draws of the better ants become likelier, and ants end lower."""
    network = PlacementNetwork()
    wish = tiny["ants"] | {"ants": 24, "rounds": 30, "steps": 0, "learning_rate": 3e-3}
    tuning = AntTuning(network, wish, tiny["env_kwargs"], 0)
    worlds = [instance(7, tiny["env_kwargs"] | {"noisy": 0.0})]
    (one,) = believed(network, worlds)
    herd = released(one, 24, 0, np.random.default_rng(0))
    assert abs(places(herd.values).sum()) < 1e-9
    assert ((herd.chosen >= 0) <= (herd.beside > 0).any(axis=2)).all()
    with torch.no_grad():
        before = float(surprise(network, one, herd))
    found = [tuning.improve(worlds, np.random.default_rng(0), 1.0)]
    with torch.no_grad():
        assert float(surprise(network, one, herd)) < before
    found += [tuning.improve(worlds, np.random.default_rng(k), 1.0) for k in range(1, 40)]
    assert np.mean(found[-8:]) < np.mean(found[:8])


def test_a_run_is_whole_and_can_be_served(tmp_path: Path, tiny: dict[str, Any]) -> None:
    """All stages, resuming, export; torch and onnxruntime give the same scores and episodes."""
    run = train("task-placement", tmp_path / "run", tiny, 3, device="cpu")
    best = run.run()
    assert Training(Folder.old(tmp_path / "run"), device="cpu").run() == best
    about = export_run(tmp_path / "run", tmp_path / "agent.onnx")
    agent = load(tmp_path / "agent.onnx")
    assert agent.about["gap"] == about["gap"] == best
    network = PlacementNetwork()
    best_file = Folder.old(tmp_path / "run").load(tmp_path / "run" / "best.pt")
    network.load_state_dict(best_file["network"])
    tables = collate(some_looks(network))
    with torch.no_grad():
        ours = scored(network, tables).numpy()
    assert np.allclose(ours, agent.scores(*tables), atol=1e-3)
    problem = weighed(draw(1, nodes=9, count=20))
    assert serve(agent, problem, Budget.of(100)).whole
