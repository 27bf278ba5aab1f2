"""Renders the Helm chart and the kustomize folders with the real tools.

    python -m tests.controlplane.charts   # writes the manifests, which are renderings of the chart

So there is one truth about what is installed, and a test says that the manifests follow it.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from pathlib import Path

import yaml

from .api import Tree
from .build import TOOLS, BuildError, module, tool

K8S = Path(__file__).resolve().parents[2] / "k8s"
CHART, MANIFESTS = K8S / "chart", K8S / "manifests"
HOME = "optsched"  # the release and its namespace
# The values behind each folder of manifests.
FOLDERS: dict[str, Tree] = {
    "base": {},
    "second-scheduler": {"deployment": "SecondScheduler"},
    "control-plane": {
        "deployment": "ControlPlane",
        "tls": {"source": "Secret", "clientNames": ["system:kube-scheduler"]},
    },
    "gated": {"deployment": "Gated"},
}
ENFORCE: Tree = {"deployment": "SecondScheduler", "config": {"mode": "Enforce"}}
HEAD = "# Made by python -m tests.controlplane.charts from the Helm chart; do not edit.\n"
LABEL = "pod-security.kubernetes.io/enforce"


def why_not() -> str:
    """Why nothing can be rendered here, "" if it can."""
    try:
        for name in TOOLS:
            tool(name)
    except BuildError as error:
        return str(error)
    return ""


def newest() -> str:
    """The version of Kubernetes that is tested, such as v1.36.3."""
    return module("kube-apiserver").version


class HelmError(Exception):
    """What helm had to say."""


def _run(*words: str | Path) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode:
        raise HelmError(done.stderr.strip() or done.stdout.strip())
    return done.stdout


def helm(verb: str, values: Tree, *flags: str, name: str = HOME) -> str:
    """`helm VERB` of the chart with these values; HelmError if it fails."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(values, file)
        file.flush()
        words = ["--kube-version", newest(), "--namespace", HOME, "--values", file.name, *flags]
        release = [name] if verb == "template" else []
        return _run(tool("helm"), verb, *release, CHART, *words)


def template(values: Tree) -> list[Tree]:
    """What the chart installs, custom resources left out."""
    return trees(helm("template", values))


def kustomize(folder: Path) -> list[Tree]:
    """What a folder installs."""
    return trees(_run(tool("kustomize"), "build", folder))


def trees(text: str) -> list[Tree]:
    """The objects of a file."""
    return [tree for tree in yaml.safe_load_all(text) if tree]


def manifests() -> dict[Path, str]:
    """The renderings that ship, by their place."""
    found = {
        MANIFESTS / name / "install.yaml": HEAD
        + _namespace(name)
        + _plain(helm("template", values))
        for name, values in FOLDERS.items()
    }
    roles = _plain(helm("template", ENFORCE, "--show-only", "templates/executor.yaml"))
    gate = _plain(helm("template", FOLDERS["gated"], "--show-only", "templates/gate.yaml"))
    return {
        **found,
        MANIFESTS / "enforce" / "executor.yaml": HEAD + roles,
        MANIFESTS / "gate.yaml": HEAD + gate,
    }


def _plain(text: str) -> str:
    """A rendering without what only Helm needs."""
    text = re.sub(r"^# Source: .*\n", "", text, flags=re.M)
    text = re.sub(r"^ *(app\.kubernetes\.io/managed-by|helm\.sh/chart): .*\n", "", text, flags=re.M)
    return re.sub(r"[ \t]+$", "", text, flags=re.M)


def _namespace(folder: str) -> str:
    # On the network of its node a pod cannot be more restricted than this.
    level = "privileged" if folder == "control-plane" else "restricted"
    return (
        f"---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {HOME}\n"
        f"  labels:\n    {LABEL}: {level}\n"
    )


if __name__ == "__main__":
    for path, text in manifests().items():
        path.write_text(text)
