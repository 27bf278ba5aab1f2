"""What `kubectl get ... -o json` prints: a List of mixed kinds, a list of one kind, or one object.

    kubectl get nodes,pods,namespaces,poddisruptionbudgets,priorityclasses,deployments,\
replicasets,statefulsets,daemonsets,jobs,persistentvolumes,persistentvolumeclaims,\
storageclasses,csinodes -A -o json

A kind that is left out makes what needs it unmodelled: see the warnings of the problem. The options
of the reader are the fields of `KubeOptions`.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec

from optsched.errors import FormatError
from optsched.kube import Cluster, KubeOptions, lower
from optsched.problem import PlacementProblem

_START = re.compile(
    rb'\s*\{\s*"(apiVersion"\s*:\s*"[A-Za-z][\w./-]*"|kind"\s*:\s*"[A-Z]\w*"\s*,\s*"apiVersion")'
)


class _List(msgspec.Struct, rename="camel", gc=False):
    kind: str = ""
    api_version: str = ""
    items: list[msgspec.Raw] | None = None


def parse(data: bytes) -> Cluster:
    """The objects of the document.

    Raises
    ------
    FormatError
        It is no JSON, no Kubernetes list, or an object in it cannot be read.
    """
    try:
        document = msgspec.json.decode(data, type=_List)
    except msgspec.ValidationError as error:
        raise FormatError(f"this is no list of Kubernetes objects: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FormatError(f"this is no complete JSON document: {error}") from error
    except RecursionError as error:
        raise FormatError("the JSON is nested too deeply") from error
    if not document.kind or not document.api_version:
        raise FormatError(
            "this is no Kubernetes document: it has no kind and apiVersion; "
            "make it with kubectl get nodes,pods,... -A -o json"
        )
    cluster = Cluster()
    if document.kind.endswith("List"):
        for raw in document.items or ():
            cluster.add(raw, document.kind.removesuffix("List"))
    else:
        cluster.add(msgspec.Raw(data))
    return cluster


def problem_of(data: bytes, name: str, options: KubeOptions) -> PlacementProblem:
    """The placement problem of the cluster in the document.

    Raises
    ------
    FormatError
        As `parse`, or the objects contradict each other.
    """
    with _collector_paused():
        cluster = parse(data)
        if not cluster.nodes and not cluster.pods:
            raise FormatError(
                "there are neither nodes nor pods; "
                "make it with kubectl get nodes,pods,... -A -o json"
            )
        return lower(cluster, options, name=name)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Hundreds of thousands of objects are made and none is garbage: looking costs a third more."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class KubectlFormat:
    """Reads what kubectl prints; see `optsched.formats.base.Format`."""

    name = "kubectl"
    describes = "Kubernetes objects, kubectl get nodes,pods,... -A -o json"
    takes = tuple(one.name for one in fields(KubeOptions))

    def sniff(self, head: bytes, path: str) -> bool:
        """Whether the document starts like a Kubernetes object (kubectl sorts its keys)."""
        return _START.match(head) is not None

    def read(self, data: bytes, path: str, **options: Any) -> PlacementProblem:
        """The problem of the cluster in the file."""
        stem = Path(path).name.removesuffix(".gz").removesuffix(".json")
        name = "cluster" if path == "-" or not stem else stem
        return problem_of(data, name, KubeOptions.of(options))
