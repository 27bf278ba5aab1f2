"""What is installed, before a real API server: its schema, its admission, and its rights."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.controlplane.api import RefusedError, Tree, bound, until
from tests.controlplane.beside import Beside, install
from tests.controlplane.build import BuildError, binaries, definitions
from tests.controlplane.charts import FOLDERS, HOME, LABEL, MANIFESTS, kustomize, template, trees
from tests.controlplane.plane import Plane, end_with_parent, free_port

from .conftest import Place

SECOND: Tree = {"deployment": "SecondScheduler", "tls": {"source": "Secret"}}
VARIANTS: dict[str, Tree] = {
    **FOLDERS,
    "enforce": {**SECOND, "config": {"mode": "Enforce"}, "replicas": 3},
    "gated-enforce": {"deployment": "Gated", "config": {"mode": "Enforce"}},
}
# Kinds of other projects, which are not served here.
FOREIGN = ("cert-manager.io", "monitoring.coreos.com")


@pytest.fixture(scope="module")
def installed(plane: Plane) -> Plane:
    """A control plane that knows our custom resources and namespace."""
    install(plane.api)
    return plane


def _skip_unless_served(plane: Plane, name: str) -> None:
    kinds = plane.api.ask("GET", "/apis/admissionregistration.k8s.io/v1")["resources"]
    if "gated" in name and not any(one["kind"] == "MutatingAdmissionPolicy" for one in kinds):
        pytest.skip("the policy that gates pods needs Kubernetes 1.36")


@pytest.mark.parametrize("name", VARIANTS)
def test_every_object_of_the_chart_is_accepted(installed: Plane, name: str) -> None:
    """The server reads each strictly, with its own schema, and would make it."""
    _skip_unless_served(installed, name)
    rendered = template(VARIANTS[name])
    assert len(rendered) >= 9
    for tree in rendered:
        assert not tree["apiVersion"].startswith(FOREIGN)
        made = installed.api.apply(tree, dry=True)
        assert made["metadata"]["uid"]


@pytest.fixture(scope="module")
def served_of_others(installed: Plane) -> Plane:
    """It also knows the custom resources of cert-manager and of Prometheus' operator."""
    try:
        files = definitions()
    except BuildError as error:
        if os.environ.get("CI"):
            pytest.fail(f"these tests must run here: {error}")
        pytest.skip(str(error))
    for path in files:
        for tree in trees(path.read_text()):
            installed.api.apply(tree)
    for group in FOREIGN:
        until(lambda group=group: _kinds(installed, group), f"{group} is not served")
    return installed


def _kinds(plane: Plane, group: str) -> set[str]:
    """What is served of a group of ours or of others, in version v1."""
    with contextlib.suppress(RefusedError):
        found = plane.api.ask("GET", f"/apis/{group}/v1")["resources"]
        return {one["kind"] for one in found}
    return set()


@pytest.mark.parametrize("deployment", ["SecondScheduler", "ControlPlane"])
@pytest.mark.parametrize("issuer", [None, {"name": "ours", "kind": "ClusterIssuer"}])
def test_other_projects_accept_their_objects(
    served_of_others: Plane, deployment: str, issuer: Tree | None
) -> None:
    """Certificates, issuers and monitors are what their own schemas want, field by field."""
    values: Tree = {
        "deployment": deployment,
        "tls": {"source": "CertManager", "certManager": {"issuerRef": issuer or {}}},
        "serviceMonitor": {"create": True, "labels": {"release": "prometheus"}},
    }
    if deployment == "ControlPlane":
        values["tls"]["clientNames"] = ["system:kube-scheduler"]
    theirs = [tree for tree in template(values) if tree["apiVersion"].startswith(FOREIGN)]
    kinds = [tree["kind"] for tree in theirs]
    assert kinds.count("ServiceMonitor") == 1
    assert kinds.count("Certificate") == (2 if issuer else 3)
    for tree in theirs:
        served_of_others.api.apply(tree, dry=True)
        wrong = {**tree, "spec": {**tree["spec"], "notAField": 1}}
        with pytest.raises(RefusedError, match="notAField"):
            served_of_others.api.apply(wrong, dry=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_object_of_the_manifests_is_accepted(installed: Plane, folder: str) -> None:
    """So with kustomize, custom resources and namespace included."""
    _skip_unless_served(installed, folder)
    trees = kustomize(MANIFESTS / folder)
    assert trees
    for tree in trees:
        assert installed.api.apply(tree, dry=True)["kind"] == tree["kind"]


@pytest.mark.parametrize("name", VARIANTS)
def test_pods_are_as_restricted_as_can_be(place: Place, name: str) -> None:
    """Pod Security Admission at its strictest takes them; on a node's network, only privileged."""
    _skip_unless_served(place.plane, name)
    template_of = next(
        tree["spec"]["template"]
        for tree in template(VARIANTS[name])
        if tree["kind"] in ("Deployment", "DaemonSet")
    )
    pod = {"metadata": {**template_of["metadata"], "name": "pod"}, "spec": template_of["spec"]}
    place.api.patch(
        f"/api/v1/namespaces/{place.namespace}", {"metadata": {"labels": {LABEL: "restricted"}}}
    )
    path = f"/api/v1/namespaces/{place.namespace}/pods?dryRun=All"
    on_the_node = VARIANTS[name].get("deployment") == "ControlPlane"
    with pytest.raises(RefusedError) if on_the_node else contextlib.nullcontext() as error:
        place.api.ask("POST", path, pod)
    if error is not None:
        assert "host namespaces" in str(error.value)


@pytest.fixture
def second(place: Place) -> Iterator[Beside]:
    """A stock scheduler as the chart configures it, with the chart's rights, and us beside."""
    api = place.api
    install(api)
    api.ask("DELETE", "/apis/optsched.io/v1alpha1/placementplans")  # others' failures count
    bindings = [
        tree
        for tree in trees((MANIFESTS / "second-scheduler" / "install.yaml").read_text())
        if tree["kind"] in ("ClusterRoleBinding", "Role", "RoleBinding")
    ]
    for tree in bindings:
        api.apply(tree)
    (config,) = (
        tree["data"]["scheduler.yaml"]
        for tree in template(SECOND)
        if "scheduler.yaml" in tree.get("data", {})
    )
    beside = place.serve(
        deployment="SecondScheduler",
        schedulerNames=["optsched-scheduler"],
        leader={"namespace": HOME, "beside": f"{HOME}/optsched-scheduler"},
    )
    process = _scheduler(place, yaml.safe_load(config), beside)
    try:
        yield beside
    finally:
        process.kill()
        process.wait()
        for tree in bindings:
            if tree["metadata"]["name"].endswith(("kube-scheduler", "volume-scheduler")):
                path = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/"
                api.ask("DELETE", path + tree["metadata"]["name"])


def _scheduler(place: Place, config: Tree, beside: Beside) -> subprocess.Popen[bytes]:
    """What is of this test's machine replaces what is of a pod."""
    config["clientConnection"]["kubeconfig"] = str(place.plane.kubeconfig("optsched-token"))
    (ours,) = config["extenders"]
    told = beside.extender()
    assert {key: told[key] for key in told if key not in ("urlPrefix", "tlsConfig")} == {
        key: ours[key] for key in ours if key not in ("urlPrefix", "tlsConfig")
    }
    ours.update(urlPrefix=told["urlPrefix"], tlsConfig=told["tlsConfig"])
    file = place.folder / "second.yaml"
    file.write_text(yaml.safe_dump(config))
    log = place.folder / "second.log"
    place.logs.append(log)
    with log.open("wb") as sink:
        return subprocess.Popen(
            [
                str(binaries()["kube-scheduler"]), f"--config={file}", "--bind-address=127.0.0.1",
                f"--secure-port={free_port()}",
            ],
            stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, preexec_fn=end_with_parent,
        )  # fmt: skip


def test_a_second_scheduler_places_and_is_helped(place: Place, second: Beside) -> None:
    """With the rendered configuration and rights alone, and beside it the service leads."""
    until(lambda: "this replica leads" in second.readiness(), "a leader beside the scheduler")
    until(lambda: "[!]" not in second.readiness(), "nothing to complain of")
    named: dict[str, Any] = {"schedulerName": "optsched-scheduler"}
    place.node()
    place.node()
    place.api.replica_set(place.namespace, "small", "900m", 2, **named)
    assert len(set(place.settled(2).values())) == 2
    place.api.replica_set(place.namespace, "large", "2", 1, **named)
    place.settled(1, "large")
    place.settled(2, "small")
    (large,) = place.api.pods(place.namespace, "large")
    assert bound(large)
    assert "forbidden" not in (Path(second.log).read_text()).lower()
