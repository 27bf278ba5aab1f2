"""What is read from the caches is what the server has, and silence is not taken for calm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fake_world import World, bench, fragmented, run, world

from optsched.k8s.executor.validate import problem_of
from optsched.k8s.records import PAUSE


async def _fragmented(w: World) -> None:
    fragmented(w.cluster)
    await w.caught_up()


def test_index(tmp_path: Path) -> None:
    """Pods are found by UID, node and owner, and are gone when they are gone."""

    async def story() -> None:
        async with world(tmp_path) as w:
            await _fragmented(w)
            pods = w.api.all("pods")
            assert {p.metadata.name for p in w.mirror.pods_on("n0")} == {"small-1"}
            assert [p.metadata.name for p in w.mirror.pending()] == ["big-3"]
            owner = w.api.get("replicasets", "shop", "small")
            assert owner is not None
            uid = owner["metadata"]["uid"]
            assert len(w.mirror.pods_of(uid)) == 2
            first = pods[0]["metadata"]
            w.api.remove("pods", "shop", first["name"])
            await w.caught_up()
            assert w.mirror.pod(first["uid"]) is None
            assert w.mirror.pods_on("n0") == []
            assert w.mirror.gone_of(uid) == [first["uid"]]
            w.clock.advance(121)
            w.cluster.settle()
            w.api.remove("pods", "shop", pods[1]["metadata"]["name"])
            await w.caught_up()
            assert first["uid"] not in w.mirror.gone_of(uid)

    run(story())


def test_free(tmp_path: Path) -> None:
    """Free room is what the node offers less what its pods ask, terminating ones included."""

    async def story() -> None:
        async with world(tmp_path) as w:
            await _fragmented(w)
            assert w.mirror.free("n0")["cpu"] == 1100
            pod = w.mirror.pods_on("n0")[0]
            stored = w.api.get("pods", "shop", pod.metadata.name)
            assert stored is not None
            stored["spec"]["terminationGracePeriodSeconds"] = 60
            w.api.terminate(stored)
            await w.caught_up()
            assert w.mirror.free("n0")["cpu"] == 1100
            assert w.mirror.free("nowhere") == {}

    run(story())


def test_problem(tmp_path: Path) -> None:
    """The mirror's tables are those of the same objects read from a file."""

    async def story() -> None:
        async with world(tmp_path) as w:
            await _fragmented(w)
            problem = problem_of(w.mirror, w.settings, w.clock.now())
            assert set(problem.items.names) == {"shop/small-1", "shop/small-2", "shop/big-3"}
            where = dict(zip(problem.items.names, problem.items.host0.tolist(), strict=True))
            assert problem.hosts.names[where["shop/small-1"]] == "n0"
            assert where["shop/big-3"] == -1
            assert np.array_equal(problem.items.movable, problem.items.host0 >= 0) or (
                problem.items.movable[problem.items.host0 >= 0].all()
            )

    run(story())


def test_confirm(tmp_path: Path) -> None:
    """A cache that says the same as the server is young again, one that differs is not."""

    async def story() -> None:
        async with world(tmp_path) as w:
            await _fragmented(w)
            w.api.mute = True
            w.clock.advance(60)
            assert w.mirror.age() >= 60
            assert await w.mirror.confirm(["n0", "n1"])
            assert w.mirror.age() < 1
            w.clock.advance(60)
            w.cluster.pod_of(w.cluster.owner("late", 100, 1), "n1")
            assert not await w.mirror.confirm(["n1"])
            assert w.mirror.age() >= 60

    run(story())


def test_confirm_asks_about_what_is_old(tmp_path: Path) -> None:
    """There may be many nodes, and few questions a second."""

    async def story() -> None:
        async with world(tmp_path) as w:
            await _fragmented(w)
            w.clock.advance(60)
            w.cluster.pod_of(w.cluster.owner("late", 100, 1), "n1")
            await w.caught_up()
            asked: list[str] = []
            w.api.fault = lambda method, path: asked.append(path)  # type: ignore[func-returns-value]
            assert await w.mirror.confirm(["n0", "n1"], 2.0)
            kinds = {path.rpartition("/")[2] for path in asked}
            assert kinds == {"nodes", "poddisruptionbudgets"}
            assert w.mirror.age() <= 2.0

    run(story())


@pytest.mark.parametrize("what", ["node", "budget", "pending"])
def test_confirm_looks_at(tmp_path: Path, what: str) -> None:
    """Nodes, budgets and pending pods are compared too."""

    async def story() -> None:
        async with world(tmp_path) as w:
            await _fragmented(w)
            w.api.mute = True
            if what == "node":
                w.api.put("nodes", {**w.api.all("nodes")[0], "spec": {"unschedulable": True}})
            elif what == "budget":
                w.cluster.budget("small", 1)
            else:
                w.cluster.pod_of(w.cluster.owner("late", 100, 1))
            assert not await w.mirror.confirm(["n0", "n1"])

    run(story())


def test_pauses(tmp_path: Path) -> None:
    """A paused namespace is not moved."""

    async def story() -> None:
        async with world(tmp_path) as w:
            await _fragmented(w)
            w.cluster.namespace("shop", **{PAUSE: "true"})
            await w.caught_up()
            assert w.mirror.paused_namespaces() == {"shop"}
            problem = problem_of(w.mirror, w.settings, w.clock.now())
            assert not problem.items.movable[problem.items.host0 >= 0].any()

    run(story())


def test_moved_namespaces(tmp_path: Path) -> None:
    """Where namespaces are named, pods of others stay."""

    async def story() -> None:
        async with world(tmp_path) as w:
            await _fragmented(w)
            for moved, expected in (("other", False), ("shop", True)):
                settings = bench(NAMESPACES_MOVED=moved)
                problem = problem_of(w.mirror, settings, w.clock.now())
                assert problem.items.movable[problem.items.host0 >= 0].all() == expected

    run(story())
