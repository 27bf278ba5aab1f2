"""What `kubectl get ... -o json` prints: a List of mixed kinds, a list of one kind, or one object.

    kubectl get nodes,pods,namespaces,poddisruptionbudgets,priorityclasses,deployments,\
replicasets,statefulsets,daemonsets,jobs,persistentvolumes,persistentvolumeclaims,\
storageclasses,csinodes -A -o json
"""

from __future__ import annotations

import msgspec

from optsched.errors import FormatError
from optsched.kube import Cluster, KubeOptions, lower
from optsched.problem import PlacementProblem


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


def read(
    data: bytes, options: KubeOptions | None = None, *, name: str = "cluster"
) -> PlacementProblem:
    """The placement problem of the cluster in the document.

    Raises
    ------
    FormatError
        As `parse`, or the objects contradict each other.
    """
    cluster = parse(data)
    if not cluster.nodes and not cluster.pods:
        raise FormatError(
            "the input holds neither nodes nor pods; "
            "make it with kubectl get nodes,pods,... -A -o json"
        )
    return lower(cluster, options, name=name)
