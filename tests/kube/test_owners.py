"""Owners that are not there, or own each other in a circle."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from optsched.kube.owners import circles


def test_a_pod_whose_owner_is_not_there(kube: SimpleNamespace) -> None:
    """Nobody would make it anew: it stays, and it is named."""
    lost = kube.pod("p", "n1", owner=("ReplicaSet", "gone"))
    found = kube.problem(kube.node("n1"), kube.replica_set(), lost, kube.pod("q", "n1"))
    assert kube.pin(found, "p") == "its owner is not in the input"
    assert kube.pin(found, "q") == ""
    assert "pods whose owner is not in the input (never moved): shop/p" in found.warnings


def test_a_wish_does_not_make_an_owner(kube: SimpleNamespace) -> None:
    """The annotation that lets a pod move cannot recreate it."""
    meta = {"annotations": {"optsched.io/movable": "true"}}
    lost = kube.pod("p", "n1", owner=("ReplicaSet", "gone"), meta=meta)
    found = kube.problem(kube.node("n1"), kube.replica_set(), lost)
    assert kube.pin(found, "p") == "its owner is not in the input"


def test_a_later_owner_of_the_same_name(kube: SimpleNamespace) -> None:
    """What was deleted and made again does not own the pods of before."""
    later = kube.replica_set()
    later["metadata"]["uid"] = "uid-of-another"
    found = kube.problem(kube.node("n1"), later, kube.pod("p", "n1"))
    assert kube.pin(found, "p") == "its owner is not in the input"


def test_a_kind_that_is_absent_says_nothing(kube: SimpleNamespace) -> None:
    """Without any ReplicaSet in the input, its pods tell how many there are."""
    found = kube.problem(kube.node("n1"), kube.pod("p", "n1"), kube.pod("q", "n1"))
    assert kube.pin(found, "p") == ""
    assert not any("owner" in one for one in found.warnings)


def owned(one: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    """A workload with an owner."""
    one["metadata"]["ownerReferences"] = [{"kind": kind, "name": name, "controller": True}]
    return one


def test_workloads_without_their_owner_and_in_a_circle(kube: SimpleNamespace) -> None:
    """Both are told; the pods below are judged as any."""
    deployment = kube.replica_set("web") | {"kind": "Deployment"}
    found = kube.problem(
        kube.node("n1"),
        owned(kube.replica_set("web"), "Deployment", "web"),
        owned(deployment, "ReplicaSet", "web"),
        owned(kube.replica_set("old"), "Deployment", "gone"),
        kube.pod("p", "n1"),
    )
    assert kube.pin(found, "p") == ""
    told = "\n".join(found.warnings)
    assert "workloads whose owner is not in the input: ReplicaSet shop/old" in told
    assert "in a circle: ReplicaSet shop/web > Deployment shop/web" in told


def test_a_pod_that_owns_itself(kube: SimpleNamespace) -> None:
    """The shortest circle there is."""
    found = kube.problem(kube.node("n1"), kube.pod("p", "n1", owner=("Pod", "p")))
    assert "owners that own each other in a circle: Pod shop/p" in found.warnings


@pytest.mark.parametrize(
    ("above", "expected"),
    [
        ({}, []),
        ({"a": "b", "b": "c"}, []),
        ({"a": "a"}, [["a"]]),
        ({"x": "a", "a": "b", "b": "a", "y": "b"}, [["a", "b"]]),
        ({"a": "b", "b": "a", "c": "d", "d": "c"}, [["a", "b"], ["c", "d"]]),
    ],
)
def test_circles(above: dict[str, str], expected: list[list[str]]) -> None:
    """Each is found once, whatever leads into it."""
    key = lambda one: ("Pod", "", one)  # noqa: E731
    found = circles({key(low): key(high) for low, high in above.items()})
    assert [[name for _, _, name in circle] for circle in found] == expected
