"""The process: one loop for the mirror, the Lease, the planner, the executor and two ports."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from pathlib import Path
from typing import Any

import msgspec
import uvicorn

from optsched.errors import InputError
from optsched.k8s.api import Api, ApiError, access
from optsched.k8s.brain.metrics import Metrics
from optsched.k8s.brain.mood import Mood
from optsched.k8s.configuration import Watched
from optsched.k8s.events import Recorder
from optsched.k8s.executor import Executor
from optsched.k8s.executor.effects import Effects
from optsched.k8s.executor.machine import OffError
from optsched.k8s.extender.ops import Health, health_app, metrics_app
from optsched.k8s.leader import Leader, home
from optsched.k8s.mirror import Mirror
from optsched.k8s.planner.planner import Planner
from optsched.k8s.planner.solving import Solving
from optsched.k8s.ports import Server, opened
from optsched.k8s.rights import Rights
from optsched.k8s.settings import Deployment, Listen, Mode
from optsched.k8s.storyteller import Storyteller
from optsched.k8s.table import Board, write_whole

log = logging.getLogger(__name__)

LOOK = 0.2  # seconds between looks at the configuration
RIGHTS = 60.0  # seconds between questions about rights
RETRY = 5.0  # seconds until rights are asked for again after a failure
PULSE = "brain"  # the file in `runtime` that says that the loop runs


def identity() -> str:
    """Who this replica is, different after every start."""
    return f"{os.environ.get('HOSTNAME') or socket.gethostname()}_{os.urandom(4).hex()}"


class Process:
    """Everything that the brain consists of."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        settings = watched.current
        self.api = Api(access(settings.client), settings.client)
        self.clock = self.api.clock
        namespace = settings.leader.namespace or home()
        named = msgspec.structs.replace(settings.leader, namespace=namespace)
        self.leader = Leader(self.api, named, identity())
        self.mirror = Mirror(self.api)
        self.rights = Rights(self.api, namespace, named.lease_name, named.beside)
        self.mood = Mood(watched, self.api, self.mirror, self.rights)
        self.health = Health(stale=10.0)
        self.metrics = Metrics(self.mirror, lambda: self.mood.mode)
        self.events = Recorder(self.api, self.permit, self.leader.identity)
        board = None
        if settings.deployment is not Deployment.GATED:
            board = Board(settings.runtime)
        effects = Effects(self.api, board, self.permit, on_reply=self.metrics.reply)
        story = Storyteller(
            self.events, lambda: self.mood.mode, self.metrics.phase, self.metrics.move
        )
        self.executor = Executor(effects, self.mirror, self.mood.settings, self.clock, tell=story)
        self.solving = Solving(settings.planner.memory_bytes, self.clock)
        self.planner = Planner(
            self.mirror,
            effects,
            self.solving,
            self.mood.settings,
            self.clock,
            self.events,
            self.leader.holds,
            self.executor.proposed.set,
            self.metrics.solved,
        )
        self._servers: list[tuple[Server, socket.socket]] = []
        self._end = asyncio.Event()
        self._changed = asyncio.Event()
        self._pulse = Path(settings.runtime) / PULSE

    def permit(self) -> None:
        """Raise unless something may be written now."""
        if self.watched.current.mode is Mode.OFF:
            raise OffError
        self.leader.check()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        self._make_runtime()
        settings = self.watched.current
        ports = {
            "metrics": self._open(metrics_app(self.metrics.registry), settings.brain.metrics),
            "health": self._open(health_app(self.health), settings.brain.health),
        }
        self.health.checks += [self.mood.rights_to_read, self.mood.records, self.mood.caches]
        self.health.notes += [self._leads, *self.mood.notes, self._begins]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end.set)
        told = " ".join(f"{name}={port}" for name, port in ports.items())
        log.info("the brain serves %s as %s", told, self.leader.identity)
        async with self.api:
            work = [
                self._beat(), self._lead(), self._ask_rights(), self._act(), self.planner.run(),
                self.events.run(), self.solving.warm(),
                *(one.run() for one in self.mirror.reflectors.values()),
                *(server.serve([opened]) for server, opened in self._servers),
            ]  # fmt: skip
            await self._until_told(work)

    async def _until_told(self, work: list[Any]) -> None:
        """Work until the signal; an error in any part ends all, and the service starts anew."""
        tasks = [asyncio.ensure_future(one) for one in work]
        end = asyncio.ensure_future(self._end.wait())
        try:
            running = set(tasks)
            while not end.done():
                done, _ = await asyncio.wait({*running, end}, return_when="FIRST_COMPLETED")
                for task in done - {end}:
                    running.discard(task)
                    task.result()
        finally:
            self.health.stopping = True
            for task in (*tasks, end):
                task.cancel()
            await asyncio.gather(*tasks, end, return_exceptions=True)
            await self.solving.close()
            if self.watched.current.mode is not Mode.OFF:
                with contextlib.suppress(ApiError):
                    await self.leader.release()

    def _make_runtime(self) -> None:
        try:
            self._pulse.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"the folder runtime {self._pulse.parent} cannot be made: {error.strerror}"
            ) from error

    def _open(self, app: Any, listen: Listen) -> int:
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            limit_concurrency=64,
        )
        found = opened(listen)
        self._servers.append((Server(config), found))
        port: int = found.getsockname()[1]
        return port

    async def _beat(self) -> None:
        """Show that the loop runs, and take over a configuration that changed."""
        mode = None
        while True:
            self.health.beat()
            told = f"{self.clock.now()} {self.mood.mode.value}"
            await asyncio.to_thread(write_whole, str(self._pulse), told.encode())
            self.metrics.leader.set(self.leader.holds())
            self.metrics.pending.set(len(self.planner.waiting))
            self.metrics.dropped.set(self.events.dropped)
            if self.watched.refresh():
                settings = self.watched.current
                logging.getLogger("optsched").setLevel(settings.logging.level.upper())
                log.info("a new configuration is in force")
                self._changed.set()
            if self.mood.mode is not mode:
                mode = self.mood.mode
                log.info("the mode is %s", mode.value)
                self.planner.waiting.encourage()
                self.executor.proposed.set()
            await self.clock.sleep(LOOK)

    async def _lead(self) -> None:
        """Try for the Lease; in mode Off nothing is written, not even that."""
        period = self.watched.current.leader.retry_period.seconds
        while True:
            if self.watched.current.mode is not Mode.OFF:
                held = self.leader.holds()
                if await self.leader.renew() and not held:
                    log.info("this replica leads")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(period):
                    await self._changed.wait()
            self._changed.clear()

    async def _ask_rights(self) -> None:
        """Find out what this account may do, again and again."""
        while True:
            wait = RIGHTS
            if self.watched.current.mode is not Mode.OFF:
                try:
                    await self.rights.check(lambda: self.watched.current.mode is not Mode.OFF)
                    await self.mood.look_for_records()
                except ApiError as error:
                    log.warning("rights are not known: %d %s", error.status, error.reason)
                    wait = RETRY
                wait = wait if self.rights.known and not self.rights.missing else RETRY
            else:
                wait = LOOK
            await self.clock.sleep(wait)

    async def _act(self) -> None:
        """Step plans, once it is known what may be done: one that acts is not given up before."""
        while not self.rights.known:
            await self.clock.sleep(LOOK)
        await self.executor.run()

    def _leads(self) -> tuple[str, bool, str]:
        if self.leader.apart:
            return "leader", True, f"not this replica: {self.leader.apart}"
        leads = self.leader.holds()
        return "leader", True, "this replica leads" if leads else "another replica leads"

    def _begins(self) -> tuple[str, bool, str]:
        if self.mood.mode is not Mode.ENFORCE or not self.leader.holds():
            return "plans", True, "none is carried out by this replica now"
        why = self.executor.frozen
        return "plans", not why, f"none is begun: {why}" if why else "may begin"


def serve(watched: Watched) -> None:
    """Run the brain until it is told to end."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:

        async def run() -> None:
            await Process(watched).run()

        runner.run(run())
