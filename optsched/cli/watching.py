"""What a person sees while it takes time, Ctrl-C, and SIGTERM."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from .exits import Exit

if TYPE_CHECKING:
    from optsched.budget import Progress

T = TypeVar("T")

SHOW_AFTER = 1.0  # seconds; what is over sooner needs no progress
EVERY = 30.0  # seconds between lines where there is no terminal
GRACE = 3.0  # seconds for work that is given up on to end


@contextmanager
def watching(stage: str, *, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """Say on standard error what is being done.

    On a terminal from the first second on, else in a plain line now and then. Gives a function that
    changes what is said.
    """
    if quiet:
        yield lambda text: None
        return
    line = _Line(stage) if sys.stderr.isatty() else Lines(stage)
    try:
        yield line.say
    finally:
        line.close()


class Lines:
    """Plain lines for logs: what was said last and for how long it has gone on, every 30 s."""

    def __init__(self, text: str) -> None:
        self.text, self.began = text, time.monotonic()
        self.over = threading.Event()
        self.ticking = threading.Thread(target=self._tick, name="lines", daemon=True)
        self.ticking.start()

    def _tick(self) -> None:
        while not self.over.wait(EVERY):
            click.echo(f"{self.text}; {time.monotonic() - self.began:,.0f} s so far", err=True)

    def say(self, text: str) -> None:
        """What the next line tells."""
        self.text = text

    def close(self) -> None:
        """No more lines."""
        self.over.set()
        self.ticking.join()


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
    """Run `work` so that the first Ctrl-C asks it to stop; the second, or SIGTERM, gives up on it.

    What is given up on leaves no process behind. The work runs in a thread: the main one must stay
    free, because Python hands signals to it alone, and not while it is inside a solver's C++ code.

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
    SystemExit
        On SIGTERM.
    """
    asked = threading.Event()
    # Not raised in a handler: `join` would take the thread for over.
    enough: list[BaseException] = []

    def on_interrupt(signum: int, frame: FrameType | None) -> None:
        if asked.is_set():
            enough.append(KeyboardInterrupt())
            return
        asked.set()
        click.echo(f"{told}; Ctrl-C again to give up", err=True)

    def on_terminate(signum: int, frame: FrameType | None) -> None:
        enough.append(SystemExit(Exit.TERMINATED))

    answers: list[T] = []
    faults: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(work(asked.is_set))
        except BaseException as error:
            faults.append(error)

    worker = threading.Thread(target=run, name="solve", daemon=True)
    handlers = {signal.SIGINT: on_interrupt, signal.SIGTERM: on_terminate}
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        worker.start()
        while worker.is_alive() and not enough:
            worker.join(0.05)
        if enough:
            _give_up(worker)
            raise enough[0]
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    if faults:
        raise faults[0]
    return answers[0], asked.is_set()


def _give_up(worker: threading.Thread) -> None:
    """End a thread that works, and its processes, so that the interpreter can end as usual.

    A thread that came back from C++ while the interpreter ends would abort the process, and one
    that waits for its processes would keep it.
    """
    import multiprocessing

    for child in multiprocessing.active_children():
        child.terminate()
    if worker.ident is not None:
        raised = ctypes.py_object(KeyboardInterrupt)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(worker.ident), raised)
    worker.join(GRACE)
