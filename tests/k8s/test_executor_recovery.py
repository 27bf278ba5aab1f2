"""Killed, or no longer leading: whoever comes next goes on, and nothing is done twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_world import CHAIN, by_hand, chain, run, world
from random_worlds import killed_at, tell
from stories import clean, evictions, half_done

from optsched.k8s.gates import GATE
from optsched.k8s.records import ENDED, Phase, PlanSlot, SlotSpec, decode_slot


def test_nothing_is_written_once_another_leads(tmp_path: Path) -> None:
    """Nothing is written once another leads and the next leader goes on."""

    async def story() -> None:
        async with world(tmp_path) as w:
            plan = await half_done(w)
            w.leads = False
            w.api.writes.clear()
            for _ in range(20):
                await w.round()
            assert not w.api.writes
            w.leads = True
            await w.restart()
            assert (await w.drive(plan)).phase is Phase.DONE
            assert evictions(w) == 2
            clean(w)

    run(story())


def test_two_that_believe_they_lead_evict_nobody_twice(tmp_path: Path) -> None:
    """Two that believe they lead evict nobody twice."""

    async def story() -> None:
        async with world(tmp_path) as w:
            chain(w.cluster)
            await w.caught_up()
            plan = await w.create(by_hand(w, *CHAIN))
            first, second = w.executor, w.another()
            for _ in range(400):
                if w.plan(plan).phase in ENDED:
                    break
                await asyncio.gather(first.step(), second.step())
                w.cluster.settle()
                await w.caught_up()
                w.clock.advance(0.2)
            assert w.plan(plan).phase is Phase.DONE
            assert evictions(w) == 2
            clean(w)

    run(story())


def test_what_a_plan_that_is_gone_left_behind(tmp_path: Path) -> None:
    """What a plan that is gone left behind is taken away."""

    async def story() -> None:
        async with world(tmp_path) as w:
            from optsched.k8s.table import PlanTable

            far = w.clock.now() + 1_000_000
            w.cluster.front.board.publish(PlanTable(plan="ghost", expires=far))
            slot = msgspec.to_builtins(PlanSlot(spec=SlotSpec(("ghost",))))
            w.api.put("planslots", {"metadata": {"name": "cluster"}, "spec": slot["spec"]})
            for _ in range(4):
                await w.round()
            assert not w.leftovers()
            stored = w.api.get("planslots", "", "cluster")
            assert decode_slot(msgspec.json.encode(stored)).spec.active_plans == ()

    run(story())


@pytest.mark.parametrize("gates", ["", GATE], ids=["extender", "gates"])
def test_killed_at_any_step_it_goes_on(tmp_path: Path, gates: str) -> None:
    """Killed at any step it goes on and nothing is lost or done twice."""
    steps = run(killed_at(0, tmp_path / "whole", gates)).steps
    assert steps >= 30
    for kill in range(1, steps + 1):
        story = run(killed_at(kill, tmp_path / str(kill), gates))
        assert (story.phase, story.evictions, story.kills) == ("Done", 2, 1), kill
        assert not story.harm, kill


@pytest.mark.parametrize("seed", range(6))
def test_random_plans_with_faults_and_kills(tmp_path: Path, seed: int) -> None:
    """Random plans with faults and kills do no harm."""
    story = run(tell(seed, tmp_path, trouble=0.6, faults=0.03, kills=1.0))
    assert not story.violations
    assert not story.doubles
    assert not story.lost
    assert not story.leftovers


def test_a_killed_executor_leaves_nothing_that_holds_for_ever(tmp_path: Path) -> None:
    """The table's own end frees the nodes although nobody comes back."""

    async def story() -> Any:
        async with world(tmp_path) as w:
            plan = await half_done(w)
            w.clock.advance(w.settings.moves.ttl.seconds + 60)
            stranger = w.cluster.pod_of(w.cluster.owner("stranger", 100, 1))
            table = w.cluster.front.board.read()
            assert table.plan == plan.uid
            assert table.expires < w.clock.now()
            names = ["n0", "n1", "n2"]
            assert w.cluster.front.filter(stranger, names) == names

    run(story())
