"""Kubernetes semantics without a client: objects become the tables of a placement problem.

As kube-scheduler 1.36 with its default plugins, compared with recordings of a real one
(benchmarks/feasibility).

Modelled
    effective requests (init and sidecar containers, overhead, requests of the whole pod, resizing
    in place), allocatable resources, extended resources, huge pages, number of pods, host ports;
    taints, cordons, nodeSelector, required node affinity; required pod affinity and anti-affinity
    of new and of running pods, topology spread (DoNotSchedule); claims, node affinity, zones and
    limits of volumes; priorities, disruption budgets, and a list of what is never moved.
Not looked at
    what only scores: preferred affinities, ScheduleAnyway, PreferNoSchedule, image locality, the
    cluster's default spreading; node conditions (their taints count); storage capacity left; room
    reserved for nominated pods.
Not modelled
    resource claims (DRA), pod groups, in-tree disks, unbound local volumes, and every field that
    is not known. A pod with one of these is never moved nor placed; its room counts, and the
    warnings name it. Where a kind of object is absent, so is what needs it.
"""

from __future__ import annotations

from .cluster import Cluster
from .lower import lower
from .options import KubeOptions
from .raised import objects_of

__all__ = ["Cluster", "KubeOptions", "lower", "objects_of"]
