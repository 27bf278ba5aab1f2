"""What a person sees while it takes time, and Ctrl-C."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from optsched.budget import Progress

T = TypeVar("T")

SHOW_AFTER = 1.0  # seconds; what is over sooner needs no progress


@contextmanager
def watching(stage: str, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Say on the terminal what is being done, from the first second on.

    Gives a function that changes what is said. Silent where standard error is no terminal.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda text: None
        return
    line = _Line(stage)
    try:
        yield line.say
    finally:
        line.close()


class _Line:
    """A spinner with a text and the time, shown late."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.shown: Any = None
        self.closed = False
        self.lock = threading.Lock()
        self.timer = threading.Timer(SHOW_AFTER, self.show)
        self.timer.daemon = True
        self.timer.start()

    def show(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        with self.lock:
            if self.closed:
                return
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}", markup=False),
                TimeElapsedColumn(),
            )
            self.shown = Progress(*columns, console=Console(stderr=True), transient=True)
            self.shown.add_task(self.text)
            self.shown.start()

    def say(self, text: str) -> None:
        with self.lock:
            self.text = text
            if self.shown is not None:
                self.shown.update(self.shown.task_ids[0], description=text)

    def close(self) -> None:
        self.timer.cancel()
        with self.lock:
            self.closed = True
            if self.shown is not None:
                self.shown.stop()


def progress_words(progress: Progress) -> str:
    """A solver's progress in one line."""
    known = [
        f"{name} {value}"
        for name, value in (("value", progress.value), ("bound", progress.bound))
        if value is not None
    ]
    return progress.stage + (f" ({', '.join(known)})" if known else "")


STOPPING = "stopping with the best plan so far"


def run_stoppable(work: Callable[[Callable[[], bool]], T], told: str = STOPPING) -> tuple[T, bool]:
    """Run `work` so that the first Ctrl-C asks it to stop and the second one gives up on it.

    The work runs in a thread: the main one must stay free, because Python hands signals to it
    alone, and not while it is inside a solver's C++ code.

    Parameters
    ----------
    work
        Takes a function that says whether to stop.
    told
        What the first Ctrl-C leads to, in words.

    Returns
    -------
    What `work` returned, and whether it was asked to stop.

    Raises
    ------
    KeyboardInterrupt
        On the second Ctrl-C.
    """
    asked = threading.Event()

    def on_interrupt(signum: int, frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        click.echo(f"{told}; Ctrl-C again to give up", err=True)

    answers: list[T] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(work(asked.is_set))
        except BaseException as error:
            faults.append(error)

    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        worker = threading.Thread(target=run, name="solve", daemon=True)
        worker.start()
        while worker.is_alive():
            worker.join(0.05)
    finally:
        signal.signal(signal.SIGINT, previous)
    if faults:
        raise faults[0]
    return answers[0], asked.is_set()
