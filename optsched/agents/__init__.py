"""Agents: networks, cloning of solvers, training, evaluation and export. The only room with torch.

What runs an agent afterwards is `solvers.policy`, which needs onnxruntime and no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from optsched.errors import MissingExtraError

PACKAGES = ("torch", "stable_baselines3", "sb3_contrib", "onnx", "tensorboard", "yaml")


@dataclass(frozen=True)
class Known:
    """A problem that agents can be trained for.

    Attributes
    ----------
    environment
        Its id.
    hyperparameters
        The file in `optsched.envs.hyperparams` that comes with the package.
    subject
        `module:attribute` of its `agents.subject.Subject`.
    """

    environment: str
    hyperparameters: str
    subject: str


PROBLEMS: dict[str, Known] = {
    "vm-rescheduling": Known(
        "optsched/VMRescheduling-v0", "vm_rescheduling.yml", "optsched.agents.vm:VMRescheduling"
    ),
    "pod-packing": Known(
        "optsched/PodPacking-v0", "pod_packing.yml", "optsched.agents.pods:PodPacking"
    ),
    "task-placement": Known(
        "optsched/TaskPlacement-v0", "task_placement.yml", "optsched.agents.tasks:TaskPlacement"
    ),
}


def needed() -> None:
    """See that everything that training needs is installed.

    Raises
    ------
    MissingExtraError
        Something is not.
    """
    for name in PACKAGES:
        if find_spec(name) is None:
            raise MissingExtraError(
                f"training needs the package {name!r}: pip install 'optsched[rl]'"
            )
