"""The networks with random weights as files: what agents must beat. Needs the extra rl."""

from __future__ import annotations

from pathlib import Path


def untrained(problem: str, folder: Path, seed: int = 0) -> Path:
    """A file of the untrained network of a problem."""
    import torch

    from optsched.agents.export import export
    from optsched.agents.subject import subject

    kind = subject(problem)
    torch.manual_seed(seed)
    path = folder / f"untrained-{problem}.onnx"
    export(kind.network(), path, {"problem": problem, "seed": seed}, kind)
    return path
