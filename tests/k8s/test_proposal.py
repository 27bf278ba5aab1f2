"""A solver's plan names pods by UID, and what evictions cannot do is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_world import chain, fragmented, run, world

import optsched
from optsched.errors import PlanError
from optsched.k8s.executor.validate import problem_of, translated
from optsched.k8s.proposal import proposal
from optsched.k8s.records import body_of, decode_plan
from optsched.plan import Move, Wave


def test_round_trip(tmp_path: Path) -> None:
    """The proposal is the solver's plan: owner, template, request, waves; and reads back as it."""

    async def story() -> None:
        async with world(tmp_path) as w:
            chain(w.cluster)
            await w.caught_up()
            problem = problem_of(w.mirror, w.settings, w.clock.now())
            result = optsched.solve(problem, time_limit=2, workers=1)
            plan = await w.create(proposal(problem, result, w.mirror, w.settings, w.clock.now()))
            assert len(plan.spec.moves) == 2
            for move in plan.spec.moves:
                stored = w.api.get("pods", move.namespace, move.name)
                assert stored is not None
                assert stored["metadata"]["uid"] == move.uid
                assert stored["metadata"]["ownerReferences"][0]["uid"] == move.owner
                assert stored["spec"]["nodeName"] == move.source
                assert move.hash == "h1"
                assert move.request["pods"] == 1
            assert [one.node for one in plan.spec.placements] == ["n0"]
            again = translated(plan, problem)
            assert [set(one.moves) for one in again.waves] == [
                set(one.moves) for one in result.plan.waves
            ]
            assert not optsched.check(problem, again).violations

    run(story())


def test_json(tmp_path: Path) -> None:
    """What is sent to the server is what is read from it."""

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            plan = await w.propose()
            assert plan is not None
            import msgspec

            body = msgspec.json.encode(body_of(plan, plan.status))
            assert decode_plan(body) == plan

    run(story())


@pytest.mark.parametrize("how", ["gone", "unplaced", "twice"])
def test_refused(tmp_path: Path, how: str) -> None:
    """A pod that is gone, left without a node, or moved twice."""

    async def story() -> None:
        async with world(tmp_path) as w:
            fragmented(w.cluster)
            await w.caught_up()
            problem = problem_of(w.mirror, w.settings, w.clock.now())
            result = optsched.solve(problem, time_limit=2, workers=1)
            move = next(one for one in result.plan.moves() if one.source >= 0)
            waves = result.plan.waves
            if how == "gone":
                name = problem.items.names[move.item].split("/")[1]
                w.api.remove("pods", "shop", name)
                await w.caught_up()
            elif how == "unplaced":
                waves = (Wave((Move(move.item, move.source, -1),)),)
            else:
                waves = (*waves, Wave((Move(move.item, move.target, move.source),)))
            wrong = replace(result, plan=replace(result.plan, waves=waves))
            with pytest.raises(PlanError):
                proposal(problem, wrong, w.mirror, w.settings, w.clock.now())

    run(story())
