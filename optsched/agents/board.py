"""Curves for TensorBoard: a convenience, for whose sake no run ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter


class Board:
    """Where curves are written, as long as there is room for them.

    What the disk refuses is left out in silence: the checkpoint that follows says what is wrong.

    Parameters
    ----------
    path
        The folder.
    """

    def __init__(self, path: Path) -> None:
        self.writer: SummaryWriter | None = None
        self._others = threading.excepthook
        threading.excepthook = self._hear
        self._do(lambda: self._open(path))

    def _open(self, path: Path) -> None:
        self.writer = SummaryWriter(str(path))

    def add(self, name: str, value: float, at: int) -> None:
        """A point of a curve."""
        writer = self.writer
        if writer is not None:
            self._do(lambda: writer.add_scalar(name, value, at))

    def close(self) -> None:
        """Nothing follows."""
        if self.writer is not None:
            self._do(self.writer.close)
        threading.excepthook = self._others

    def _do(self, what: Callable[[], None]) -> None:
        try:
            what()
        except OSError:
            self.writer = None

    def _hear(self, told: threading.ExceptHookArgs) -> None:
        """TensorBoard writes in a thread of its own, which would end with a traceback."""
        if issubclass(told.exc_type, OSError):
            self.writer = None
        else:
            self._others(told)
