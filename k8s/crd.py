"""The CustomResourceDefinitions of `records`, made from the structs.

`python -m optsched.k8s.install` writes them; a test compares what is there.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import msgspec
from msgspec.inspect import (
    BoolType,
    DictType,
    EnumType,
    Field,
    IntType,
    Metadata,
    StrType,
    StructType,
    Type,
    VarTupleType,
    type_info,
)

from optsched.k8s.records import GROUP, PLANS, SLOTS, VERSION, PlanSpec, PlanStatus, SlotSpec
from optsched.k8s.reflector import Resource

Tree = dict[str, Any]

_COLUMNS = (
    ("Phase", "string", ".status.phase"),
    ("Summary", "string", ".spec.summary"),
    ("Reason", "string", ".status.reason"),
)


def definitions() -> list[Tree]:
    """Both of them."""
    plan = {
        "type": "object",
        "required": ["spec"],
        "properties": {
            "spec": {
                **schema(type_info(PlanSpec)),
                "x-kubernetes-validations": [
                    {"rule": "self == oldSelf", "message": "a plan does not change; make another"}
                ],
            },
            "status": schema(type_info(PlanStatus)),
        },
    }
    slot = {"type": "object", "properties": {"spec": schema(type_info(SlotSpec))}}
    return [
        _definition(PLANS, plan, {"status": {}}, _COLUMNS),
        _definition(SLOTS, slot, {}, (("Active", "string", ".spec.activePlans"),)),
    ]


def schema(kind: Type) -> Tree:
    """The structural schema of a type."""
    match kind:
        case Metadata():
            return schema(kind.type)
        case StructType():
            properties = {one.encode_name: schema(one.type) for one in kind.fields}
            required = [one.encode_name for one in kind.fields if _is_required(one)]
            tree: Tree = {"type": "object", "properties": properties}
            return tree | ({"required": required} if required else {})
        case DictType():
            return {"type": "object", "additionalProperties": schema(kind.value_type)}
        case VarTupleType():
            return {"type": "array", "items": schema(kind.item_type)}
        case EnumType():
            assert issubclass(kind.cls, Enum)
            return {"type": "string", "enum": [one.value for one in kind.cls]}
        case IntType():
            low = {} if kind.ge is None else {"minimum": kind.ge}
            return {"type": "integer", "format": "int64", **low}
        case BoolType():
            return {"type": "boolean"}
        case StrType():
            return {"type": "string"}
    raise TypeError(f"no schema for {kind}")


def _is_required(one: Field) -> bool:
    return one.required


def _definition(
    of: Resource, root: Tree, subresources: Tree, columns: tuple[tuple[str, str, str], ...]
) -> Tree:
    version: Tree = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": root},
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path} for name, kind, path in columns
        ]
        + [{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}],
    }
    if subresources:
        version["subresources"] = subresources
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{of.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": of.kind,
                "listKind": f"{of.kind}List",
                "plural": of.plural,
                "singular": of.kind.lower(),
            },
            "scope": "Cluster",
            "versions": [version],
        },
    }


def to_yaml() -> str:
    """Both of them, for kubectl."""
    import yaml

    head = "# Made by python -m optsched.k8s.install; do not edit.\n"
    text: str = yaml.safe_dump_all(
        msgspec.to_builtins(definitions()), sort_keys=False, width=100, explicit_start=True
    )
    return head + text
