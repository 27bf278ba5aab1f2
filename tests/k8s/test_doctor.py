"""What keeps the service from working is named, with the remedy."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from optsched.cli import group
from optsched.k8s.configuration import load
from optsched.k8s.doctor import (
    Finding,
    examine,
    scheduler_findings,
    settings_findings,
    snippet,
)
from optsched.k8s.settings import Settings
from optsched.k8s.simulator.api_objects import Refusal
from optsched.k8s.simulator.api_server import FakeApi
from optsched.k8s.table import now_ms

GOOD: dict[str, Any] = {
    "urlPrefix": "http://127.0.0.1:8443",
    "filterVerb": "filter",
    "preemptVerb": "preempt",
    "nodeCacheCapable": True,
    "ignorable": True,
    "httpTimeout": "200ms",
}


def optsched(*words: str) -> Result:
    """The command line."""
    return CliRunner().invoke(group, ["doctor", *words])


def write(folder: Path, **changes: Any) -> Path:
    """A scheduler's configuration; a key that is None is left out."""
    extender = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    file = folder / "scheduler.yaml"
    tree = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"qps": 1000},
        "leaderElection": {"leaderElect": False},
        "extenders": [extender],
    }
    file.write_text(yaml.safe_dump(tree))
    return file


def bad(found: list[Finding]) -> str:
    """Everything that is not in order."""
    return "; ".join(one.what for one in found if one.verdict != "ok")


def test_good(tmp_path: Path) -> None:
    """The snippet that is printed is found good."""
    assert bad(scheduler_findings(write(tmp_path), Settings())) == ""
    file = tmp_path / "printed.yaml"
    head = (
        "kind: KubeSchedulerConfiguration\nclientConnection: {qps: 1000}\n"
        "leaderElection: {leaderElect: false}\n"
    )
    file.write_text(head + snippet(Settings()))
    assert bad(scheduler_findings(file, Settings())) == ""
    done = optsched("--no-cluster", "--scheduler-config", str(file))
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"urlPrefix": "http://127.0.0.1:9999"}, "no extender points to port 8443"),
        ({"filterVerb": None}, "filterVerb is None"),
        ({"preemptVerb": "other"}, "preemptVerb is 'other'"),
        ({"nodeCacheCapable": False}, "nodeCacheCapable is False"),
        ({"bindVerb": "bind"}, "bindVerb is set"),
        ({"ignorable": False}, "no pod is scheduled"),
        ({"httpTimeout": None}, "not set, which means 5s"),
        ({"httpTimeout": "5s"}, "httpTimeout is 5s"),
        ({"httpTimeout": "0s"}, "httpTimeout is 0s, which means 5s"),
        ({"httpTimeout": ["1s"]}, "httpTimeout is ['1s']"),
        ({"enableHTTPS": True}, "one side speaks TLS"),
        ({"urlPrefix": "https://127.0.0.1:8443"}, "one side speaks TLS"),
        ({"urlPrefix": "http://127.0.0.1:8443/extend"}, "urlPrefix ends in '/extend'"),
        ({"urlPrefix": "http://optsched.svc:8443"}, "127.0.0.1 is served alone"),
        ({"managedResources": [{"name": "nvidia.com/gpu"}]}, "managedResources is set"),
    ],
)
def test_scheduler(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    """Each fault of a scheduler's configuration is named."""
    assert why in bad(scheduler_findings(write(tmp_path, **changes), Settings()))


SECURE = {"certFile": "client.crt", "keyFile": "client.key", "caFile": "ca.crt"}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"tlsConfig": {**SECURE, "caFile": "", "caData": "YQ=="}}, ""),
        ({"enableHTTPS": False}, "one side speaks TLS"),
        ({"urlPrefix": "http://127.0.0.1:8443"}, "one side speaks TLS"),
        ({"tlsConfig": {**SECURE, "insecure": True}}, "anybody could answer"),
        ({"tlsConfig": {**SECURE, "caFile": ""}}, "anybody could answer"),
        ({"tlsConfig": {"caFile": "ca.crt"}}, "the extender answers nobody without"),
        ({"tlsConfig": None}, "anybody could answer"),
        ({"tlsConfig": "yes"}, "anybody could answer"),
    ],
)
def test_scheduler_over_tls(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    """So is each fault of the way in which the two know each other."""
    secure = {"urlPrefix": "https://127.0.0.1:8443", "enableHTTPS": True, "tlsConfig": SECURE}
    found = bad(scheduler_findings(write(tmp_path, **{**secure, **changes}), with_tls(tmp_path)))
    assert why in found
    assert bool(found) == bool(why)


def with_tls(folder: Path) -> Settings:
    """Settings that serve with certificates of a folder."""
    files = {"CERT": "tls.crt", "KEY": "tls.key", "CA": "ca.crt"}
    return load(
        None,
        {
            f"OPTSCHED_CONFIG_EXTENDER_TLS_{part}_FILE": str(folder / name)
            for part, name in files.items()
        },
    )


def test_certificates(tmp_path: Path) -> None:
    """Files that are not here are no fault; files that do not go together are."""
    settings = with_tls(tmp_path)
    assert "tls.crt is not here" in bad(settings_findings(settings))
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).write_text("no certificate")
    (wrong,) = (one for one in settings_findings(settings) if one.verdict == "wrong")
    assert "cannot be used" in wrong.what


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not here")
@pytest.mark.parametrize(("days", "why"), [(0, ""), (3, "has expired")])
def test_certificates_that_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, why: str
) -> None:
    """One that has expired is named before a scheduler finds it."""
    subprocess.run(
        ["openssl", "req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=o", "-newkey", "ec",
         "-pkeyopt", "ec_paramgen_curve:P-256", "-keyout", tmp_path / "tls.key",
         "-out", tmp_path / "tls.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    shutil.copy(tmp_path / "tls.crt", tmp_path / "ca.crt")
    now = time.time() + days * 86_400
    monkeypatch.setattr(time, "time", lambda: now)
    found = bad(settings_findings(with_tls(tmp_path)))
    assert why in found
    assert bool(found) == bool(why)


@pytest.mark.parametrize("key", ["clientConnection", "leaderElection", "profiles", "extenders"])
@pytest.mark.parametrize("value", [None, 3, "text", [1], {"a": 1}])
def test_sections_of_another_kind(tmp_path: Path, key: str, value: object) -> None:
    """Whatever is in the file, there are findings and no fault of ours."""
    file = write(tmp_path)
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), key: value}))
    assert scheduler_findings(file, Settings())


def test_profiles(tmp_path: Path) -> None:
    """So is a scheduler that schedules none of our pods."""
    settings = load(None, {"OPTSCHED_CONFIG_SCHEDULER_NAMES": "optsched-scheduler"})
    assert "has no profile for" in bad(scheduler_findings(write(tmp_path), settings))


@pytest.mark.parametrize(
    ("election", "beside", "verdict", "why"),
    [
        ({"leaderElect": False}, "", "", ""),
        ({"leaderElect": False}, "kube-system/kube-scheduler", "wrong", "keeps no Lease"),
        ({}, "kube-system/kube-scheduler", "", ""),
        ({}, "", "note", "leader.beside is not set"),
        ({"resourceName": "other"}, "kube-system/kube-scheduler", "wrong", "kube-system/other"),
        ({"resourceNamespace": "ours"}, "ours/kube-scheduler", "", ""),
    ],
)
def test_election(
    tmp_path: Path, election: dict[str, Any], beside: str, verdict: str, why: str
) -> None:
    """The service must lead where the scheduler does, by the scheduler's own Lease."""
    file = write(tmp_path)
    file.write_text(
        yaml.safe_dump({**yaml.safe_load(file.read_text()), "leaderElection": election})
    )
    settings = load(None, {"OPTSCHED_CONFIG_LEADER_BESIDE": beside})
    found = [one for one in scheduler_findings(file, settings) if one.verdict != "ok"]
    assert [one.verdict for one in found] == ([verdict] if verdict else [])
    assert why in bad(found)


@pytest.mark.parametrize("text", ["kind: Pod", "[1, 2]", "a: [", "\tx"])
def test_bad_file(tmp_path: Path, text: str) -> None:
    """A file that is no such configuration ends in a sentence."""
    file = tmp_path / "file.yaml"
    file.write_text(text)
    done = optsched("--no-cluster", "--scheduler-config", str(file))
    assert done.exit_code in (2, 5)
    assert "Traceback" not in done.output
    assert optsched("--no-cluster", "--scheduler-config", str(tmp_path / "no")).exit_code == 2


def _in_cluster(folder: Path, **changes: Any) -> str:
    async def story() -> str:
        api = FakeApi(now_ms)
        api.denied = changes.get("denied", set())
        if changes.get("fault"):
            api.fault = changes["fault"]
        await api.start()
        file = folder / "kubeconfig"
        file.write_text(kubeconfig(api.url))
        settings = load(None, {"OPTSCHED_CONFIG_CLIENT_KUBECONFIG": str(file),
                               "OPTSCHED_CONFIG_CLIENT_BURST": "500",
                               **changes.get("settings", {})})  # fmt: skip
        try:
            return bad(await examine(settings, None, cluster=True))
        finally:
            await api.stop()

    return asyncio.run(story())


def kubeconfig(url: str) -> str:
    """One that leads to `url`."""
    text: str = yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "clusters": [{"name": "x", "cluster": {"server": url}}],
            "users": [{"name": "x", "user": {}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        }
    )
    return text


def test_rights(tmp_path: Path) -> None:
    """A right that is missing is named."""
    found = _in_cluster(tmp_path, denied={"create pods/eviction", "watch csinodes"})
    assert "create pods/eviction" in found
    assert "watch csinodes.storage.k8s.io" in found
    assert "list csinodes" not in found


def test_rights_that_a_deployment_needs(tmp_path: Path) -> None:
    """To open gates is no matter of speed."""
    lacking = {"patch pods"}
    assert "patch pods: pods are placed somewhat later" in _in_cluster(tmp_path, denied=lacking)
    gated = {"OPTSCHED_CONFIG_DEPLOYMENT": "Gated"}
    told = _in_cluster(tmp_path, denied=lacking, settings=gated)
    assert "patch pods: gates are not opened" in told


def test_custom_resources(tmp_path: Path) -> None:
    """So are resources that were not installed, and a server that does not answer."""

    def absent(method: str, path: str) -> Refusal | None:
        return Refusal(404, "NotFound") if "placementplans" in path else None

    assert "no resource placementplans" in _in_cluster(tmp_path, fault=absent)
    assert "cannot be asked" in _in_cluster(tmp_path, fault=lambda method, path: "drop")


def test_json() -> None:
    """The findings as a document."""
    found = json.loads(optsched("--no-cluster", "--output", "json").stdout)
    assert found["format"] == "optsched/examination"
    assert {one["verdict"] for one in found["findings"]} <= {"ok", "note", "wrong"}
