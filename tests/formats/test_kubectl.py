"""kubectl's JSON as a problem: its forms, broken files, and dumps of real API servers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optsched.errors import FormatError, InputError
from optsched.formats import detect, read
from optsched.formats.kubectl import KubectlFormat, parse, problem_of
from optsched.kube import KubeOptions

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n1"},
    "status": {"allocatable": {"cpu": "2", "pods": "3"}},
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "shop"},
    "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": 1}}}]},
}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s", "namespace": "shop"}}


def document(*items: Any, kind: str = "List") -> bytes:
    """A list as kubectl prints it: keys sorted, indented."""
    whole = {"apiVersion": "v1", "items": list(items), "kind": kind, "metadata": {}}
    return json.dumps(whole, sort_keys=True, indent=4).encode()


def test_a_list_of_mixed_kinds() -> None:
    """Kinds that are not needed are passed over."""
    found = problem_of(document(NODE, SERVICE, POD), "c", KubeOptions())
    assert found.hosts.names == ("n1",)
    assert found.items.names == ("shop/p",)
    assert found.items.demand[0, 0] == 1000


def test_a_list_of_one_kind() -> None:
    """Items of the API server's own lists do not name their kind."""
    bare = {key: value for key, value in NODE.items() if key not in ("kind", "apiVersion")}
    cluster = parse(document(bare, kind="NodeList"))
    assert [node.metadata.name for node in cluster.nodes] == ["n1"]


def test_one_object() -> None:
    """`kubectl get node n1 -o json` prints no list."""
    assert problem_of(json.dumps(NODE).encode(), "c", KubeOptions()).hosts.names == ("n1",)


def test_it_is_found_by_content(tmp_path: Path) -> None:
    """A dump is recognised packed or not, under any name, and settings are passed on as text."""
    path = tmp_path / "My dump.json.gz"
    path.write_bytes(gzip.compress(document(NODE, POD)))
    found = read(path, scheduler_names="volcano")
    assert found.name == "My dump"
    assert any("another scheduler" in one for one in found.warnings)
    assert detect(b'{"kind":"PodList","apiVersion":"v1"', "-").name == "kubectl"
    assert not KubectlFormat().sniff(b'{"format": "optsched"', "x.json")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"min_age": "soon"}, "min_age must be a whole number, not 'soon'"),
        ({"move_jobs": "perhaps"}, "move_jobs must be true or false"),
        ({"protected_namespaces": 3}, "protected_namespaces must be a comma list"),
        ({"frob": "1"}, "no setting 'frob'"),
    ],
)
def test_settings_that_make_no_sense(setting: dict[str, Any], message: str) -> None:
    """A wrong setting names what would be right."""
    with pytest.raises(InputError, match=message):
        KubeOptions.of(setting)


def test_settings_as_text() -> None:
    """Every kind of setting can be given as text or as a value."""
    found = KubeOptions.of(
        {"min_age": "600", "move_jobs": "True", "protected_namespaces": "a, b", "min_replicas": 1}
    )
    assert found == KubeOptions(
        min_age=600, move_jobs=True, protected_namespaces=frozenset("ab"), min_replicas=1
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no complete JSON"),
        (document(NODE)[:-9], "no complete JSON"),
        (b"\xff\xfe{}", "no complete JSON"),
        (b"[]", "no list of Kubernetes objects"),
        (b"{}", "no kind and apiVersion"),
        (document(kind="ConfigMapList"), "neither nodes nor pods"),
        (document(7), "an item of the list is no Kubernetes object"),
        (document({"kind": 7}), "an item of the list is no Kubernetes object"),
        (document(POD | {"spec": 7}), "Pod 'shop/p': Expected `object`, got `int` - at `\\$.spec`"),
        (document(POD | {"metadata": 7}), "Pod '\\(without a readable name\\)': Expected"),
        (document(NODE | {"metadata": {"name": "n" * 10_000_000}}), "name of 10000000 characters"),
    ],
)
def test_broken_documents(data: bytes, message: str) -> None:
    """One sentence says what is wrong, and in which object."""
    with pytest.raises(FormatError, match=message) as caught:
        problem_of(data, "c", KubeOptions())
    assert len(str(caught.value)) < 500


def container(**more: Any) -> dict[str, Any]:
    """POD with more in its container."""
    return POD | {"spec": {"containers": [{"name": "c", **more}]}}


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (
            container(ports=[{"hostPort": -1}]),
            "Expected `int` >= 0 - at `$.spec.containers[0].ports[0].hostPort`",
        ),
        (
            container(ports=[{"hostPort": 70_000}]),
            "Expected `int` <= 65535 - at `$.spec.containers[0].ports[0].hostPort`",
        ),
        (
            POD | {"spec": {"containers": [], "priority": 10**30}},
            "Expected `int` <= 2147483647 - at `$.spec.priority`",
        ),
        (
            POD | {"spec": {"containers": [], "priority": -(10**30)}},
            "Expected `int` >= -2147483648 - at `$.spec.priority`",
        ),
        (
            POD | {"metadata": {"name": "p", "namespace": "shop", "creationTimestamp": "noon"}},
            "Invalid RFC3339 encoded datetime - at `$.metadata.creationTimestamp`",
        ),
        (
            POD | {"metadata": {"name": "p", "namespace": "shop", "deletionTimestamp": 3}},
            "Expected `datetime | null`, got `int` - at `$.metadata.deletionTimestamp`",
        ),
        (
            POD
            | {
                "spec": {
                    "containers": [],
                    "topologySpreadConstraints": [
                        {"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}
                    ],
                }
            },
            "Expected `int` >= 1 - at `$.spec.topologySpreadConstraints[0].maxSkew`",
        ),
    ],
)
def test_values_that_no_server_lets_through(odd: dict[str, Any], reason: str) -> None:
    """Numbers and times out of bounds are refused with the pod, the place and what is allowed."""
    with pytest.raises(FormatError) as caught:
        problem_of(document(NODE, odd), "c", KubeOptions())
    assert str(caught.value) == f"Pod 'shop/p': {reason}"


def test_names_in_any_script() -> None:
    """Names are text; nothing assumes ASCII."""
    odd = NODE | {"metadata": {"name": "узел-❄"}}
    assert problem_of(document(odd), "c", KubeOptions()).hosts.names == ("узел-❄",)


@given(data=st.data())
def test_any_change_is_read_or_refused(data: st.DataObject) -> None:
    """Whatever value stands wherever in a document, the answer is a problem or an InputError."""
    tree = json.loads(document(NODE, POD))
    place = tree["items"][data.draw(st.sampled_from((0, 1)))]
    while isinstance(place, dict) and place:
        key = data.draw(st.sampled_from(sorted(place)))
        if not isinstance(place[key], dict) or data.draw(st.booleans()):
            place[key] = data.draw(
                st.none()
                | st.integers()
                | st.text(max_size=5)
                | st.booleans()
                | st.lists(st.integers(), max_size=2)
                | st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2)
            )
            break
        place = place[key]
    with suppress(InputError):
        found = problem_of(json.dumps(tree).encode(), "c", KubeOptions())
        assert len(found.hosts) + len(found.items) <= 2


@pytest.mark.parametrize(
    ("name", "nodes", "live", "pending", "terminating"),
    [
        ("cluster-30", 30, 363, 23, 0),
        ("cluster-200", 200, 2433, 12, 0),
        ("cluster-1000", 1000, 11453, 40, 17),
    ],
)
def test_dumps_of_real_api_servers(
    data_path: Callable[[str], Path],
    name: str,
    nodes: int,
    live: int,
    pending: int,
    terminating: int,
) -> None:
    """Counts are the published ones, no node is over its room, and everything is modelled."""
    found = read(data_path(f"kubectl-dumps/{name}.json.gz"))
    items, hosts = found.items, found.hosts
    assert (len(hosts), len(items)) == (nodes, live)
    assert int((items.host0 < 0).sum()) == pending
    pins = [found.pin_reasons[r] if r >= 0 else "" for r in items.pinned_by.tolist()]
    assert pins.count("it is terminating") == terminating
    use = np.zeros_like(hosts.capacity)
    np.add.at(use, items.host0[items.host0 >= 0], items.demand[items.host0 >= 0])
    assert (use <= hosts.capacity).all()
    assert found.warnings == ()
    assert items.movable.mean() > 0.5
    assert not items.may_evict_others[items.host0 < 0].any()
