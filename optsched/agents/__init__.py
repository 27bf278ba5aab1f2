"""Agents: networks, cloning of solvers, training, evaluation and export. The only room with torch.

What runs an agent afterwards is `solvers.policy`, which needs onnxruntime and no torch.
"""

from __future__ import annotations

from importlib.util import find_spec

from optsched.errors import MissingExtraError

PACKAGES = ("torch", "stable_baselines3", "sb3_contrib", "onnx", "tensorboard", "yaml")


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
