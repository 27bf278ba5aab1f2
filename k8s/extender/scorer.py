"""An optional score for nodes, thought up in a process of its own within a time budget.

A scorer is a function of a pod and the names of nodes that gives each node 0 to 10. It cannot slow
the front end: one question is put at a time, nothing is queued, and when the budget is over all
nodes count the same. A scorer that dies or breaks its word is started anew after a while.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from multiprocessing import get_context
from typing import Any

from optsched.errors import InputError
from optsched.k8s.parent import end_with_parent
from optsched.k8s.settings import Prioritize
from optsched.k8s.table import Room
from optsched.k8s.wire import MAX_SCORE, Nodes

log = logging.getLogger(__name__)

REST = 30.0  # seconds before a scorer that failed is asked again


@dataclass(frozen=True)
class Question:
    """What a scorer is asked.

    Attributes
    ----------
    request
        What the pod asks for, in the units of the plan table.
    names
        The nodes; one score each, in this order.
    """

    namespace: str
    owner: str
    priority: int
    request: Room
    names: Sequence[str]


Score = Callable[[Question], Sequence[int]]


class Scorer:
    """Asks the function that the settings name."""

    def __init__(self, settings: Prioritize) -> None:
        self._settings = settings
        self._asleep_until = 0.0
        self._busy = False
        self._pool: ProcessPoolExecutor | None = None
        find(settings.scorer)

    async def score(self, asked: Nodes) -> list[int] | None:
        """Scores in the order of the names; None if there are none in time."""
        if self._busy or time.monotonic() < self._asleep_until:
            return None
        pod = asked.pod
        try:
            question = Question(
                pod.metadata.namespace, pod.owner, pod.priority, pod.request, asked.names
            )
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    1, get_context("spawn"), end_with_parent, (os.getpid(),)
                )
            future = asyncio.get_running_loop().run_in_executor(
                self._pool, _ask, self._settings.scorer, question
            )
            self._busy = True
            future.add_done_callback(self._done)
            scores = await asyncio.wait_for(asyncio.shield(future), self._settings.budget.seconds)
        except TimeoutError:
            return None
        except Exception as error:
            log.error("the scorer failed and rests: %s", type(error).__name__)
            self._asleep_until = time.monotonic() + REST
            if isinstance(error, BrokenExecutor):
                self.close()
            return None
        return scores

    def close(self) -> None:
        """End the process."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):  # noqa: SLF001
                process.kill()  # it may be stuck
            pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, future: asyncio.Future[Any]) -> None:
        self._busy = False
        if not future.cancelled():
            future.exception()  # looked at, so that nobody warns of it


def find(name: str) -> Score:
    """The function under module:attribute.

    Raises
    ------
    InputError
        There is none.
    """
    module, _, attribute = name.partition(":")
    try:
        found: Score = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(f"prioritize.scorer: {name} cannot be loaded: {error}") from error
    return found


def _ask(name: str, question: Question) -> list[int]:
    """In the scorer's process."""
    sys.stdout = sys.stderr
    scores = [int(score) for score in find(name)(question)]
    if len(scores) != len(question.names) or not all(0 <= s <= MAX_SCORE for s in scores):
        raise ValueError("a scorer gives each node 0 to 10")
    return scores
