"""Plans are carried out here, one step at a time, each step written down before it is taken.

    Proposed   -> Validated | Rejected
    Validated  -> Recorded | Reserving | Rejected | Expired | Superseded
    Reserving  -> Evicting | Completing | Aborting
    Evicting  <-> Placing -> Completing -> Done
    Reserving, Evicting, Placing, Completing -> Aborting -> Aborted | PartiallyDone

All state is in the API server: the plan's status, the slot, the plan table of the extender. A step
reads it, compares it with the cluster, and does the next thing; a process that is killed anywhere
and started again does the same. `effects` is the only module that writes.
"""

from __future__ import annotations

from optsched.k8s.executor.machine import Executor

__all__ = ["Executor"]
