"""What an administrator installs: the Helm chart and the kustomize folders that come with us.

`python -m optsched.k8s.install` writes those files of the chart that follow from the code: the
schema of its values, the custom resources, and the version. A test compares them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from optsched import __version__
from optsched.errors import InputError
from optsched.k8s.configuration import schema
from optsched.k8s.duration import DURATION_PATTERN

HERE = Path(__file__).resolve().parent
FOLDERS = ("chart", "manifests")
Tree = dict[str, Any]

# What the pod decides, by variables that win over the file.
DECIDED = (
    ("apiVersion",),
    ("kind",),
    ("deployment",),
    ("runtime",),
    ("metrics",),
    ("health",),
    ("brain",),
    ("extender", "address"),
    ("extender", "port"),
    ("extender", "prefix"),
    ("extender", "tls"),
    ("client", "kubeconfig"),
    ("client", "context"),
    ("leader", "leaseName"),
    ("leader", "namespace"),
    ("leader", "beside"),
)
DEPLOYMENTS = ("Advisory", "SecondScheduler", "ControlPlane", "Gated")


def write(folder: str | Path) -> list[Path]:
    """Copy the chart and the manifests into a folder that is new or empty; where they are.

    Raises
    ------
    InputError
        There is something in the folder, or it cannot be written.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise InputError(f"{folder} is not empty; name a folder that is, or a new one")
        return [shutil.copytree(HERE / name, target / name) for name in FOLDERS]
    except OSError as error:
        raise InputError(f"{folder} cannot be written: {error.strerror or error}") from error


def values_schema() -> bytes:
    """The JSON schema of the chart's values, with that of the configuration in it."""
    made: Tree = msgspec.json.decode(schema())
    kinds: Tree = made["$defs"]
    kinds["Settings"]["required"] = []
    for *path, last in DECIDED:
        kind = kinds["Settings"]
        for name in path:
            kind = kinds[kind["properties"][name]["$ref"].rpartition("/")[2]]
        del kind["properties"][last]
    for unused in ("Deployment", "Listen", "Tls", "Brain"):
        del kinds[unused]
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Values of the chart optsched",
        **_values(),
        "$defs": kinds,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=1) + b"\n"


def _section(**properties: Tree) -> Tree:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _one_of(*words: str) -> Tree:
    return {"enum": list(words)}


TEXT: Tree = {"type": "string"}
SWITCH: Tree = {"type": "boolean"}
ANY: Tree = {"type": "object"}
ROWS: Tree = {"type": "array", "items": ANY}
COUNT: Tree = {"type": "integer", "minimum": 1}
PORT: Tree = {"type": "integer", "minimum": 1, "maximum": 65535}
NAME: Tree = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
DURATION: Tree = {"type": "string", "pattern": DURATION_PATTERN}
IMAGE = _section(
    repository={"type": "string", "minLength": 1},
    tag=TEXT,
    digest={"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"},
    pullPolicy=_one_of("Always", "IfNotPresent", "Never"),
)


def _values() -> Tree:
    made = _section(
        deployment=_one_of(*DEPLOYMENTS),
        config={"$ref": "#/$defs/Settings"},
        image=IMAGE,
        imagePullSecrets=ROWS,
        replicas=COUNT,
        serviceAccount=_section(create=SWITCH, name=TEXT, annotations=ANY),
        rbac=_section(create=SWITCH, executor=_one_of("Auto", "Always", "Never"), nominator=SWITCH),
        scheduler=_section(
            name=NAME, image=IMAGE, profile=ANY, qps=COUNT, burst=COUNT,
            httpTimeout={"type": "string", "pattern": "^[0-9]+ms$"}, resources=ANY,
        ),
        controlPlane=_section(
            schedulerLease={"type": "string", "pattern": "^$|^[-a-z0-9]+/[-.a-z0-9]+$"},
            nodeSelector=ANY, tolerations=ROWS, address=TEXT,
        ),
        gated=_section(policy=SWITCH),
        tls=_section(
            source=_one_of("None", "Secret", "CertManager"),
            serverSecret=TEXT,
            clientSecret=TEXT,
            clientNames={"type": "array", "items": TEXT},
            certManager=_section(
                issuerRef=_section(name=TEXT, kind=TEXT, group=TEXT), duration=DURATION
            ),
        ),
        ports=_section(
            extender=PORT, metrics=PORT, health=PORT, brainMetrics=PORT, brainHealth=PORT
        ),
        resources=ANY,
        extenderResources=ANY,
        priorityClassName=TEXT,
        podAnnotations=ANY,
        podLabels=ANY,
        nodeSelector=ANY,
        tolerations=ROWS,
        affinity=ANY,
        topologySpreadConstraints=ROWS,
        terminationGracePeriodSeconds={"type": "integer", "minimum": 0},
        podDisruptionBudget=_section(create=SWITCH),
        networkPolicy=_section(
            create=SWITCH, metricsFrom=ROWS, apiServerPorts={"type": "array", "items": PORT}
        ),
        serviceMonitor=_section(create=SWITCH, interval=DURATION, labels=ANY),
    )  # fmt: skip
    made["properties"]["global"] = ANY  # Helm's own, for charts that contain this one
    return made


def made() -> dict[Path, bytes]:
    """The files that follow from the code, relative to `HERE`."""
    from optsched.k8s import crd  # needs the extra k8s, which copying files does not

    chart = (HERE / "chart" / "Chart.yaml").read_text().splitlines()
    head = [one for one in chart if not one.startswith(("version:", "appVersion:"))]
    versions = [f"version: {__version__}", f"appVersion: {__version__}"]
    return {
        Path("chart", "values.schema.json"): values_schema(),
        Path("chart", "crds", "crds.yaml"): crd.to_yaml().encode(),
        Path("manifests", "crds", "crds.yaml"): crd.to_yaml().encode(),
        Path("chart", "Chart.yaml"): "\n".join([*head, *versions, ""]).encode(),
    }


if __name__ == "__main__":
    for path, data in made().items():
        (HERE / path).write_bytes(data)
