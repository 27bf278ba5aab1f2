"""Fixtures and settings shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from optsched.problem import Hosts, Items, PlacementProblem, Where

ROOT = Path(__file__).resolve().parent.parent
GIB = 1 << 30

# No deadline: how long an example takes says more about the machine than about the code.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session")
def data_path() -> Callable[[str], Path]:
    """Finder of public data: a path below the data folder, or a skip where it is absent."""
    root = Path(os.environ.get("OPTSCHED_DATA") or ROOT.parent / "shared" / "data")

    def find(relative: str = "") -> Path:
        path = root / relative
        if not path.exists():
            pytest.skip(
                f"no {relative or 'public data'} here: set OPTSCHED_DATA to the data folder"
            )
        return path

    return find


@pytest.fixture(scope="session")
def data_dir(data_path: Callable[[str], Path]) -> Path:
    """Folder of public data; a test that needs it skips where it is absent."""
    return data_path("")


@pytest.fixture
def small_cluster() -> PlacementProblem:
    """Three nodes, two pending pods: one fits after a move, the other is larger than any node.

    shop/wide (2 CPU) needs node-1 without shop/cart-1, which fits node-2; node-3 is tainted.
    """
    hosts = Hosts.of(
        [[4000, 8 << 30], [4000, 8 << 30], [8000, 16 << 30]],
        names=["node-1", "node-2", "node-3"],
        fixed_use=[[0, 0], [500, 1 << 30], [0, 0]],
    )
    items = Items.of(
        [[2000, GIB], [1000, GIB], [2000, GIB], [500, GIB], [2000, GIB], [9000, GIB]],
        names=["shop/web", "shop/cart-1", "shop/mail", "kube-system/dns", "shop/wide", "shop/huge"],
        host0=[0, 0, 1, 1, -1, -1],
        tier=[0, 1, 1, 0, 0, 1],
        owner=[0, 1, 1, -1, 0, -1],
        movable=[True, True, True, False, True, True],
        pinned_by=[-1, -1, -1, 0, -1, -1],
    )
    return PlacementProblem.of(
        hosts,
        items,
        name="small",
        resources=("cpu", "memory"),
        tiers=("gold", "silver"),
        owners=("shop/front", "shop/back"),
        pin_reasons=("in the namespace kube-system",),
        where=Where.of(hosts, items, excluded=[[0, 0, 1]], rule_names=("taints",)),
    )
