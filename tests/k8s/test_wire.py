"""Requests of real schedulers are read; what is none is refused without a trace of its content."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optsched.errors import FormatError
from optsched.k8s.wire import (
    decode_candidates,
    decode_nodes,
    filter_reply,
    preempt_reply,
    prioritize_reply,
)

POD: dict[str, Any] = {
    "metadata": {
        "uid": "u-1",
        "name": "web-1",
        "namespace": "shop",
        "creationTimestamp": "2026-11-23T06:01:40Z",
        "labels": {"pod-template-hash": "5d", "batch.kubernetes.io/job-completion-index": "3"},
        "ownerReferences": [
            {"kind": "Thing", "name": "other", "uid": "o-1"},
            {"kind": "ReplicaSet", "name": "web", "uid": "o-2", "controller": True},
        ],
    },
    "spec": {
        "priority": 7,
        "containers": [{"name": "c", "resources": {"requests": {"cpu": "1.5", "memory": "1Gi"}}}],
        "initContainers": [{"name": "i", "resources": {"requests": {"cpu": "2"}}}],
        "overhead": {"cpu": "100m"},
        "somethingNew": {"deep": [1, 2, {"x": None}]},
    },
}


def body(**parts: Any) -> bytes:
    """A request as JSON."""
    return json.dumps(parts).encode()


def recorded(data_path: Callable[[str], Path], verb: str) -> list[dict[str, Any]]:
    """All recorded calls of a verb."""
    folder = data_path("extender-captures")
    calls = [
        json.loads(line)
        for file in sorted(folder.glob("*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    return [call for call in calls if call["verb"] == verb]


@pytest.mark.parametrize("verb", ["filter", "prioritize"])
def test_recorded_requests_are_read(data_path: Callable[[str], Path], verb: str) -> None:
    """Every recorded request gives its pod and all of its nodes, by name or whole."""
    calls = recorded(data_path, verb)
    assert len(calls) > 20
    for call in calls:
        request = call["request"]
        asked = decode_nodes(json.dumps(request).encode())
        assert asked.pod.uid == request["Pod"]["metadata"]["uid"]
        assert asked.pod.priority == request["Pod"]["spec"]["priority"]
        assert asked.pod.request["cpu"] > 0
        assert asked.pod.request["pods"] == 1
        assert asked.pod.created > 1_700_000_000
        if request["NodeNames"] is not None:
            assert asked.names == request["NodeNames"]
            assert asked.whole is None
        else:
            items = request["Nodes"]["items"]
            assert asked.names == [node["metadata"]["name"] for node in items]
            assert [json.loads(bytes(node)) for node in asked.whole or ()] == items


def test_recorded_preemptions_are_read(data_path: Callable[[str], Path]) -> None:
    """Victims come out alike whether the request names them or holds whole pods."""
    calls = recorded(data_path, "preempt")
    assert len(calls) >= 4
    for call in calls:
        request = call["request"]
        asked = decode_candidates(json.dumps(request).encode())
        whole = request["NodeNameToVictims"] or {}
        meta = request["NodeNameToMetaVictims"] or {}
        expected = {
            node: [pod["metadata"]["uid"] for pod in victims["Pods"]]
            for node, victims in whole.items()
        } or {node: [pod["UID"] for pod in victims["Pods"]] for node, victims in meta.items()}
        found = {
            node: [pod["UID"] for pod in victims["Pods"]] for node, victims in asked.victims.items()
        }
        assert found == expected
        assert found


def test_a_pod_is_read_as_far_as_needed() -> None:
    """Effective request, controller, revision and index; what is new is skipped."""
    pod = decode_nodes(body(Pod=POD, Nodes=None, NodeNames=["n"])).pod
    assert pod.request == {"cpu": 2100, "memory": 1 << 30, "pods": 1}
    assert (pod.owner, pod.hash, pod.index, pod.priority) == ("o-2", "5d", "3", 7)
    assert pod.created == 1795413700


def test_both_spellings_are_read() -> None:
    """Schedulers before 1.20 write lower case."""
    assert decode_nodes(body(pod=POD, nodes=None, nodenames=["a", "b"])).names == ["a", "b"]
    node = {"metadata": {"name": "a"}}
    assert decode_nodes(body(pod=POD, nodes={"items": [node]}, nodenames=None)).names == ["a"]
    victims = {"n": {"pods": [{"uid": "v"}], "numPDBViolations": 2}}
    asked = decode_candidates(body(pod=POD, nodeNameToMetaVictims=victims))
    assert asked.victims == {"n": {"Pods": [{"UID": "v"}], "NumPDBViolations": 2}}


def test_names_win_over_nodes() -> None:
    """A request with both is answered by name."""
    assert decode_nodes(body(Pod=POD, NodeNames=["a"], Nodes={"items": []})).names == ["a"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'"text"',
        body(Pod=None, NodeNames=["a"]),
        body(Pod={}, NodeNames=["a"]),
        body(Pod={"metadata": {"uid": ""}}, NodeNames=["a"]),
        body(Pod=POD),
        body(Pod=POD, NodeNames=None, Nodes=None),
        body(Pod=POD, NodeNames="a"),
        body(Pod=POD, NodeNames=["a", 1]),
        body(Pod=POD, NodeNames={"a": 1}),
        body(Pod=POD, Nodes={"items": [{"metadata": {}}]}),
        body(Pod=POD, Nodes=[1]),
        body(Pod={**POD, "spec": {"priority": "high"}}, NodeNames=["a"]),
        body(Pod=POD, NodeNames=["a"])[:-1],
        body(Pod=POD, NodeNames=["secret"]).replace(b"secret", b"\xff\xfe"),
        body(Pod=POD, Ignored="secret", NodeNames=["a"]).replace(b"secret", b"\xc3\x28"),
        body(Pod=POD, NodeNames=["secret"]).replace(b"secret", b"\\ud800"),
        b'{"Pod":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"x":' + b'{"a":' * 100_000,
    ],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    """One sentence for every kind of garbage."""
    for decode in (decode_nodes, decode_candidates):
        with pytest.raises(FormatError, match="request") as told:
            decode(data)
        assert len(str(told.value)) < 300


def test_refusals_hold_nothing_of_a_tenant() -> None:
    """Neither values nor labels get into the sentence."""
    spec = {"containers": [{"resources": {"requests": {"hidden.io/secret": ["secret"]}}}]}
    with pytest.raises(FormatError) as told:
        decode_nodes(body(Pod={**POD, "spec": spec}, NodeNames=["a"]))
    assert "secret" not in str(told.value)
    with pytest.raises(FormatError) as told:
        decode_nodes(body(Pod={"metadata": {"uid": "u", "labels": {"secret": 3}}}, NodeNames=["a"]))
    assert "secret" not in str(told.value)


def test_replies_always_list_nodes() -> None:
    """Whatever is kept: a reply without the list would reject every node."""
    named = decode_nodes(body(Pod=POD, NodeNames=["a", "b"]))
    assert json.loads(filter_reply(named)) == {
        "NodeNames": ["a", "b"],
        "FailedNodes": {},
        "FailedAndUnresolvableNodes": {},
        "Error": "",
    }
    none = json.loads(filter_reply(named, [], {"a": "x", "b": "x"}))
    assert none["NodeNames"] == []
    assert none["FailedAndUnresolvableNodes"] == {"a": "x", "b": "x"}
    nodes = [{"metadata": {"name": name, "managedFields": [{"v": name}]}} for name in "ab"]
    whole = decode_nodes(body(Pod=POD, Nodes={"metadata": {}, "items": nodes}, NodeNames=None))
    assert json.loads(filter_reply(whole))["Nodes"]["items"] == nodes
    kept = json.loads(filter_reply(whole, ["b"], {"a": "x"}))
    assert kept["Nodes"]["items"] == nodes[1:]
    assert "NodeNames" not in kept


def test_prioritize_and_preempt_replies() -> None:
    """Equal scores by default; victims as they came."""
    assert json.loads(prioritize_reply(["a", "b"])) == [
        {"Host": "a", "Score": 0},
        {"Host": "b", "Score": 0},
    ]
    assert json.loads(prioritize_reply(["a", "b"], [3, 10]))[1] == {"Host": "b", "Score": 10}
    assert json.loads(preempt_reply({})) == {"NodeNameToMetaVictims": {}}
