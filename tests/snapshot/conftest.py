"""A small snapshot as a person would write it."""

from __future__ import annotations

import json
from typing import Any

from optsched.problem import PlacementProblem
from optsched.snapshot import (
    decode_snapshot,
)

HEAD = {"format": "optsched/snapshot", "version": 1, "kind": "placement"}


def document(**fields: Any) -> dict[str, Any]:
    """A small snapshot as a person would write it, with some fields changed."""
    return {
        **HEAD,
        "tiers": ["high", "low"],
        "hosts": [
            {"name": "n1", "capacity": {"cpu": 4000, "memory": 8192}, "domains": {"zone": "a"}},
            {
                "name": "n2",
                "capacity": {"cpu": 4000, "gpus": 2},
                "domains": {"zone": "b"},
                "cells": [{"kind": "gpu", "capacity": {"milli": 1000}, "count": 2}],
            },
        ],
        "classes": [{"name": "web", "demand": {"cpu": 500}, "tier": "low", "owner": "rs/web"}],
        "items": [
            {"name": "web-1", "class": "web", "host": "n1"},
            {"name": "web-2", "class": "web", "tier": "high"},
            {
                "name": "train",
                "demand": {"memory": 1},
                "cells_needed": 1,
                "cell_demand": {"milli": 300},
                "host": "n2",
                "cells": [1],
                "where": "gpu only",
            },
        ],
        "eligibility": [{"name": "gpu only", "rules": [{"name": "affinity", "only": ["n2"]}]}],
        "groups": [{"name": "web", "items": ["web-1", "web-2"]}],
        "limits": [{"kind": "conflict", "key": "zone", "subject": "web", "name": "apart"}],
        "budgets": [{"name": "pdb", "items": ["web-1"], "allowed": 1}],
        **fields,
    }


def decode(value: dict[str, Any]) -> PlacementProblem:
    """The problem of a document."""
    return decode_snapshot(json.dumps(value).encode(), "cluster.json")
