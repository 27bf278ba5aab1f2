"""The demo's cluster is the one that its generator makes, and tells the story of its card."""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import as_file, files

import numpy as np
import pytest

from optsched.formats import read
from optsched.generate.demo import ARRIVALS, NODES, dump
from optsched.problem import PlacementProblem
from optsched.rules import candidates
from optsched.snapshot import read_bytes
from optsched.state import State

STUCK = {
    "analytics": 1,
    "checkout": 1,
    "importer": 1,
    "indexer": 1,
    "report-builder": 2,
    "train-embeddings": 1,
}


@pytest.fixture(scope="module")
def problem() -> PlacementProblem:
    """The bundled cluster."""
    with as_file(files("optsched.datasets").joinpath("demo-cluster.json.gz")) as path:
        return read(path)


def test_the_file_is_the_generators() -> None:
    """The bundled file holds exactly what the seed gives."""
    with as_file(files("optsched.datasets").joinpath("demo-cluster.json.gz")) as path:
        assert read_bytes(path) == dump()


def test_objects_belong_together() -> None:
    """Names and UIDs are unique, owners and claims exist, and pods sit on nodes there are."""
    items = json.loads(dump())["items"]
    uids = Counter(one["metadata"]["uid"] for one in items)
    assert max(uids.values()) == 1
    keys = {(o["kind"], o["metadata"].get("namespace", ""), o["metadata"]["name"]) for o in items}
    assert len(keys) == len(items)
    nodes = {node.name for node in NODES}
    for one in items:
        metadata = one["metadata"]
        assert metadata["creationTimestamp"] <= "2026-11-20T09:30:00Z"
        for owner in metadata.get("ownerReferences", ()):
            assert owner["uid"] in uids
        if one["kind"] == "Pod":
            assert one["spec"].get("nodeName", "general-a-1") in nodes
            for volume in one["spec"]["volumes"]:
                claim = volume.get("persistentVolumeClaim", {}).get("claimName")
                assert (
                    claim is None or ("PersistentVolumeClaim", metadata["namespace"], claim) in keys
                )


def test_the_pending_pods_are_those_of_the_story(problem: PlacementProblem) -> None:
    """Seven pods of two priorities wait, and none of them fits anywhere as things are."""
    pending = np.flatnonzero(problem.items.host0 < 0)
    names = [problem.items.names[at].split("/")[1] for at in pending]
    found = Counter(app for app in ARRIVALS for name in names if name.startswith(app))
    assert found == STUCK
    assert {problem.tiers[tier].split()[0] for tier in problem.items.tier[pending]} == {
        "shop-critical",
        "standard",
    }
    state = State(problem)
    for at in pending:
        assert not candidates(state, int(at)).any()


def test_no_node_is_overcommitted_and_nothing_is_unmodelled(problem: PlacementProblem) -> None:
    """The scheduler would have let every running pod onto its node."""
    items, hosts = problem.items, problem.hosts
    use = hosts.fixed_use.copy()
    placed = items.host0 >= 0
    np.add.at(use, items.host0[placed], items.demand[placed])
    assert (use <= hosts.capacity).all()
    assert problem.warnings == ()
