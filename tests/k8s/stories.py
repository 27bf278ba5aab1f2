"""The plan of one move from begin to end, with something happening on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fake_world import World, by_hand, fragmented, world

from optsched.k8s.records import ENDED, Phase, PlacementPlan
from optsched.k8s.settings import Settings

ONE_MOVE = ([("small", "n0", "n1", 0)], [("big", "n0", 1)])
Change = Callable[[World, PlacementPlan], None]


async def told(
    folder: Path,
    *,
    settings: Settings | None = None,
    before: Callable[[World], None] = lambda w: None,
    at: Phase | None = None,
    change: Change = lambda w, plan: None,
) -> tuple[World, PlacementPlan]:
    """The end of the one-move plan; `change` happens once the plan has reached phase `at`."""
    async with world(folder, settings=settings) as w:
        fragmented(w.cluster)
        await w.caught_up()
        plan = await w.create(by_hand(w, *ONE_MOVE))
        before(w)
        await w.caught_up()
        changed = at is None
        for _ in range(2000):
            now = w.plan(plan)
            if now.phase in ENDED:
                break
            if not changed and now.phase is at:
                changed = True
                change(w, now)
                await w.caught_up()
            await w.round()
        assert changed, "the plan never came to where something was to happen"
        return w, w.plan(plan)


def evictions(w: World) -> int:
    """How many pods were evicted; each at most once."""
    assert all(times == 1 for times in w.api.evicted.values())
    return len(w.api.evicted)


def clean(w: World) -> None:
    """Nothing is lost, no budget was violated, nothing is left behind."""
    assert not w.lost()
    assert not w.api.violations
    assert not w.leftovers()


def cordon_target(w: World, plan: PlacementPlan | None = None) -> None:
    """Nothing may enter the node that the plan moves a pod to."""
    node = w.api.get("nodes", "", "n1")
    assert node is not None
    w.api.put("nodes", {**node, "spec": {"unschedulable": True}})


def delete_helped(w: World) -> None:
    """The pods that a plan would help are gone."""
    for pod in w.cluster.pending():
        w.api.remove("pods", "shop", pod["metadata"]["name"])


def fill_target(w: World, plan: PlacementPlan) -> None:
    """Somebody binds past the scheduler."""
    w.cluster.pod_of(w.cluster.owner("thief", 1000, 1), "n1")
