"""Kubernetes semantics without a client: objects become the tables of a placement problem."""

from __future__ import annotations

from .cluster import Cluster
from .lower import lower
from .options import KubeOptions

__all__ = ["Cluster", "KubeOptions", "lower"]
