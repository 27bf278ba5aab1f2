"""The Helm chart and the kustomize folders, rendered with the real tools and read with our code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from optsched.k8s.configuration import load
from optsched.k8s.doctor import scheduler_findings
from optsched.k8s.settings import Deployment, Mode, Settings
from tests.controlplane.charts import (
    FOLDERS,
    MANIFESTS,
    HelmError,
    helm,
    kustomize,
    manifests,
    template,
    why_not,
)

Tree = dict[str, Any]
SECURE: Tree = {"source": "CertManager"}
ASKED: Tree = {**SECURE, "clientNames": ["system:kube-scheduler"]}
VARIANTS: dict[str, Tree] = {
    "advisory": {},
    "off": {"config": {"mode": "Off"}},
    "gated": {"deployment": "Gated"},
    "gated-enforce": {"deployment": "Gated", "config": {"mode": "Enforce"}, "replicas": 2},
    "second": {"deployment": "SecondScheduler"},
    "second-enforce": {
        "deployment": "SecondScheduler",
        "replicas": 2,
        "tls": SECURE,
        "config": {"mode": "Enforce", "moves": {"maxPerPlan": 4, "maxPerNode": 1}},
        "scheduler": {"name": "packer", "profile": {"percentageOfNodesToScore": 100}},
        "serviceMonitor": {"create": True, "labels": {"release": "prometheus"}},
        "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}]},
    },
    "control-plane": {"deployment": "ControlPlane", "tls": ASKED},
    "control-plane-dry": {
        "deployment": "ControlPlane",
        "tls": {"source": "Secret", "clientNames": ["a", "b"], "serverSecret": "mine"},
        "config": {"mode": "DryRun"},
        "ports": {"metrics": 18080, "health": 18081, "brainMetrics": 18082, "brainHealth": 18083},
        "controlPlane": {"schedulerLease": ""},
    },
}


@pytest.fixture(autouse=True)
def _tools() -> None:
    if why := why_not():
        if os.environ.get("CI"):
            pytest.fail(f"these tests must run here: {why}")
        pytest.skip(why)


def one(trees: list[Tree], *kinds: str) -> Tree:
    """The only object of these kinds."""
    (found,) = (tree for tree in trees if tree["kind"] in kinds)
    return found


def pod(trees: list[Tree]) -> Tree:
    """What the pods are made from."""
    found: Tree = one(trees, "Deployment", "DaemonSet")["spec"]["template"]["spec"]
    return found


def settings(trees: list[Tree], container: Tree, folder: Path) -> Settings:
    """What a container's file and variables mean to us."""
    config = next(
        tree for tree in trees if tree["kind"] == "ConfigMap" and "optsched.yaml" in tree["data"]
    )
    file = folder / "optsched.yaml"
    file.write_text(config["data"]["optsched.yaml"])
    return load(file, {row["name"]: row["value"] for row in container["env"]})


@pytest.mark.parametrize("name", VARIANTS)
def test_lint(name: str) -> None:
    """Helm finds nothing wrong, values and their schema included."""
    assert "0 chart(s) failed" in helm("lint", VARIANTS[name], "--strict")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"deployment": "Sidecar"}, "deployment"),
        ({"replica": 2}, "replica"),
        ({"config": {"mode": "enforce"}}, "mode"),
        ({"config": {"moves": {"maxPerPlam": 1}}}, "maxPerPlam"),
        ({"config": {"moves": {"ttl": "5 minutes"}}}, "ttl"),
        ({"config": {"extender": {"port": 1}}}, "port"),
        ({"config": {"deployment": "Gated"}}, "deployment"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"config": {"mode": "Enforce"}}, "needs a way to steer pods"),
        ({"deployment": "ControlPlane"}, "needs tls.source"),
        ({"deployment": "ControlPlane", "tls": SECURE}, "needs tls.clientNames"),
        (
            {
                "deployment": "SecondScheduler",
                "config": {"mode": "Enforce"},
                "rbac": {"executor": "Never"},
            },
            "needs the right to evict",
        ),
        (
            {"deployment": "SecondScheduler", "config": {"schedulerNames": ["x"]}},
            "scheduler.name only",
        ),
        (
            {"deployment": "SecondScheduler", "scheduler": {"name": "default-scheduler"}},
            "would race",
        ),
        ({"serviceAccount": {"create": False}}, "give serviceAccount.name"),
    ],
)
def test_values_that_make_no_sense(values: Tree, why: str) -> None:
    """They are refused, and it is said which."""
    with pytest.raises(HelmError) as error:
        helm("template", values)
    assert why in str(error.value)


def test_manifests_are_renderings() -> None:
    """What ships is what `python -m tests.controlplane.charts` would write."""
    for path, text in manifests().items():
        assert path.read_text() == text, path


@pytest.mark.parametrize("folder", FOLDERS)
def test_kustomize(folder: str, tmp_path: Path) -> None:
    """Each folder builds by itself, and acts once the component is added."""
    trees = kustomize(MANIFESTS / folder)
    kinds = [tree["kind"] for tree in trees]
    assert kinds.count("CustomResourceDefinition") == 2
    assert kinds.count("Namespace") == 1
    assert settings(trees, pod(trees)["containers"][0], tmp_path).mode is Mode.ADVISORY
    own: Tree = {
        "resources": [os.path.relpath(MANIFESTS / folder, tmp_path)],
        "images": [{"name": "optsched", "newName": "example.org/optsched", "newTag": "1"}],
    }
    if folder == "gated":  # has the roles in any case
        component = yaml.safe_load((MANIFESTS / "enforce" / "kustomization.yaml").read_text())
        own["patches"] = component["patches"]
    else:
        own["components"] = [os.path.relpath(MANIFESTS / "enforce", tmp_path)]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
    acting = kustomize(tmp_path)
    brain = next(one for one in pod(acting)["containers"] if one["name"] == "brain")
    assert brain["image"] == "example.org/optsched:1"
    assert settings(acting, brain, tmp_path).mode is Mode.ENFORCE
    roles = {tree["metadata"]["name"] for tree in acting if tree["kind"] == "ClusterRole"}
    assert {"optsched-executor", "optsched-nominator"} <= roles


@pytest.mark.parametrize("name", VARIANTS)
def test_containers_understand_their_configuration(name: str, tmp_path: Path) -> None:
    """Its strict reader takes all of it; ports, probes and mounts are those that it means."""
    values, trees = VARIANTS[name], template(VARIANTS[name])
    deployment = values.get("deployment", "Advisory")
    spec = pod(trees)
    names = ["brain"]
    names += ["extender"] * (deployment in ("SecondScheduler", "ControlPlane"))
    names += ["reaper"] * (deployment == "Gated")
    names += ["scheduler"] * (deployment == "SecondScheduler")
    assert [one["name"] for one in spec["containers"]] == names
    volumes = {volume["name"] for volume in spec["volumes"]}
    used = set()
    for container in spec["containers"]:
        used |= {mount["name"] for mount in container["volumeMounts"]}
        if container["name"] == "scheduler":
            continue
        assert container["args"] == [
            "serve", "--config", "/etc/optsched/optsched.yaml", "--part", container["name"]
        ]  # fmt: skip
        told = settings(trees, container, tmp_path)
        assert told.mode == values.get("config", {}).get("mode", "Advisory")
        if deployment != "Advisory":
            assert told.deployment == Deployment(deployment)
        if container["name"] == "reaper":
            continue
        health = told.brain.health if container["name"] == "brain" else told.health
        metrics = told.brain.metrics if container["name"] == "brain" else told.metrics
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert set(ports.values()) == {health.port, metrics.port}
        for probe in ("readinessProbe", "livenessProbe", "startupProbe"):
            asked = container[probe]["httpGet"]
            assert ports[asked["port"]] == health.port
            assert asked.get("host", "0.0.0.0") == health.address
        mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert str(Path(told.runtime).parent) in mounts
        tls = told.extender.tls
        for file in (tls.cert_file, tls.key_file, tls.ca_file):
            assert not file or str(Path(file).parent) in mounts
    assert used == volumes


@pytest.mark.parametrize("name", [name for name, one in VARIANTS.items() if "deployment" in one])
def test_the_front_end_and_its_scheduler_fit(name: str, tmp_path: Path) -> None:
    """Our own doctor finds nothing to mend in the scheduler's configuration."""
    trees = template(VARIANTS[name])
    if VARIANTS[name]["deployment"] != "SecondScheduler":
        assert not any("scheduler.yaml" in tree.get("data", {}) for tree in trees)
        return
    told = settings(trees, pod(trees)["containers"][0], tmp_path)
    file = tmp_path / "scheduler.yaml"
    file.write_text(
        next(
            tree["data"]["scheduler.yaml"]
            for tree in trees
            if "scheduler.yaml" in tree.get("data", {})
        )
    )
    findings = scheduler_findings(file, told)
    assert [one.what for one in findings if one.verdict == "wrong"] == []
    notes = [one.what for one in findings if one.verdict == "note"]
    assert [note for note in notes if "clientConnection.qps" not in note] == []
    scheduler = next(one for one in pod(trees)["containers"] if one["name"] == "scheduler")
    mounts = {mount["mountPath"] for mount in scheduler["volumeMounts"]}
    (extender,) = yaml.safe_load(file.read_text())["extenders"]
    for path in extender.get("tlsConfig", {}).values():
        assert str(Path(path).parent) in mounts


@pytest.mark.parametrize("name", VARIANTS)
def test_only_acting_modes_may_evict(name: str) -> None:
    """The executor's role is there in DryRun, Enforce, and to open gates, and nowhere else."""
    mode = VARIANTS[name].get("config", {}).get("mode", "Advisory")
    roles = {one["metadata"]["name"] for one in template(VARIANTS[name]) if "rules" in one}
    gated = VARIANTS[name].get("deployment") == "Gated"
    assert ("optsched-executor" in roles) is (gated or mode in ("DryRun", "Enforce"))


def test_the_front_end_has_no_credentials() -> None:
    """It answers the scheduler and asks nobody: no token is mounted where it runs."""
    spec = pod(template(VARIANTS["second-enforce"]))
    assert spec["automountServiceAccountToken"] is False
    holders = {
        container["name"]
        for container in spec["containers"]
        if any(mount["name"] == "token" for mount in container["volumeMounts"])
    }
    assert holders == {"brain", "scheduler"}


def test_another_release_and_namespace(tmp_path: Path) -> None:
    """Two installations do not share a name, a Lease or a role."""
    values = {**VARIANTS["second-enforce"], "serviceMonitor": {"create": True}}
    first = template(values)
    text = helm("template", values, name="other")
    second = [tree for tree in yaml.safe_load_all(text) if tree]
    names = [{(one["kind"], one["metadata"]["name"]) for one in trees} for trees in (first, second)]
    assert not names[0] & names[1]
    leases = {
        settings(trees, pod(trees)["containers"][0], tmp_path).leader.lease_name
        for trees in (first, second)
    }
    assert leases == {"optsched", "other-optsched"}
