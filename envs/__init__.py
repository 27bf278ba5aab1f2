"""Gymnasium environments over the problems of optsched.

Importing this package registers them: `gymnasium.make("optsched.envs:optsched/VMRescheduling-v0")`.
"""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

IDS: dict[str, tuple[str, str | None]] = {
    "optsched/VMRescheduling-v0": (
        "optsched.envs.vm_rescheduling:VMRescheduling",
        "optsched.envs.vm_batch:make_batch",
    ),
    "optsched/TaskPlacement-v0": ("optsched.envs.task_placement:TaskPlacement", None),
    "optsched/PodPacking-v0": (
        "optsched.envs.pod_packing:PodPacking",
        "optsched.envs.pod_batch:make_batch",
    ),
}

for _name, (_entry, _vector) in IDS.items():
    if _name not in registry:
        register(_name, entry_point=_entry, vector_entry_point=_vector)
