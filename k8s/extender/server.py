"""The process: three ports, one loop, a heartbeat."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
import signal
import socket
import ssl
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from optsched.errors import InputError
from optsched.k8s.configuration import Watched
from optsched.k8s.extender.app import Verbs
from optsched.k8s.extender.front import Front
from optsched.k8s.extender.metrics import Metrics
from optsched.k8s.extender.ops import Health, health_app, metrics_app
from optsched.k8s.extender.protocol import Patience
from optsched.k8s.extender.scorer import Scorer
from optsched.k8s.ports import Server, opened
from optsched.k8s.settings import Listen, Mode, Settings
from optsched.k8s.table import Board
from optsched.k8s.tls import Certificates

log = logging.getLogger(__name__)

CONNECTIONS = 1024  # open at once, idle ones included
BACKLOG = 256
GRACE = 5  # seconds for answers that are being given when the process is to end


class Process:
    """Everything that the front end consists of."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        settings = watched.current
        self.front = Front(_board(settings.runtime), settings.guard.rules())
        self.front.enforce(settings.mode is Mode.ENFORCE)
        self.metrics = Metrics(self.front)
        self.health = Health()
        self.scorer = Scorer(settings.prioritize) if settings.prioritize.scorer else None
        self.verbs = Verbs(self.front, settings.extender, self.metrics, self.scorer)
        tls = settings.extender.tls
        self.certificates = Certificates(tls) if tls.enabled else None
        self._servers: list[tuple[Server, socket.socket]] = []
        self._check()

    async def run(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        settings = self.watched.current
        extender = settings.extender
        context = self.certificates.context if self.certificates else None
        ports = {
            "verbs": self._open(
                self.verbs, Listen(extender.address, extender.port), settings, context
            ),
            "metrics": self._open(
                metrics_app(self.metrics.registry, self.metrics.settle), settings.metrics, settings
            ),
            "health": self._open(health_app(self.health), settings.health, settings),
        }
        told = " ".join(f"{name}={port}" for name, port in ports.items())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        gc.collect()
        gc.freeze()  # what is here now stays; the collector need not look at it again
        log.info("serving %s tls=%s", told, "on" if context else "off")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._beat())
                for server, opened in self._servers:
                    group.create_task(server.serve([opened]))
        finally:
            if self.scorer is not None:
                self.scorer.close()

    def stop(self) -> None:
        """Take no more requests and end."""
        self.health.stopping = True
        for server, _ in self._servers:
            server.should_exit = True

    def _open(
        self, app: Any, listen: Listen, settings: Settings, context: ssl.SSLContext | None = None
    ) -> int:
        """Open a port; returns its number."""
        extender = settings.extender
        names = frozenset(extender.tls.client_names) if context else frozenset()
        protocol = type(
            "Limited",
            (Patience,),
            {
                "seconds": extender.body_timeout.seconds,
                "clients": names,
                "verbs": app if isinstance(app, Verbs) else None,
            },
        )
        config = uvicorn.Config(
            app,
            loop="uvloop",
            http=protocol,
            ws="none",
            interface="asgi3",
            lifespan="off",
            proxy_headers=False,
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            backlog=BACKLOG,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=max(1, int(extender.keep_alive.seconds)),
            timeout_graceful_shutdown=GRACE,
        )
        config.load()
        config.ssl = context
        found = opened(listen, BACKLOG)
        self._servers.append((Server(config), found))
        port: int = found.getsockname()[1]
        return port

    async def _beat(self) -> None:
        """Look at the board often, at files and memory now and then."""
        loop = asyncio.get_running_loop()
        next_beat = 0.0
        while not self.health.stopping:
            self.front.look()
            self.metrics.settle()
            now = loop.time()
            if now >= next_beat:
                next_beat = now + Board.HEARTBEAT
                self.front.acknowledge()
                self.front.memory.tidy(self.front.clock.now())
                self._refresh()
                self.health.beat()
                if self.verbs.swollen:
                    self.verbs.swollen = False
                    _trim()
            await asyncio.sleep(Board.LOOK)

    def _refresh(self) -> None:
        """Take over files that changed."""
        if self.watched.refresh():
            settings = self.watched.current
            self.front.rules = settings.guard.rules()
            self.front.enforce(settings.mode is Mode.ENFORCE)
            self.verbs.settings = settings.extender
            logging.getLogger("optsched").setLevel(settings.logging.level.upper())
            self._reloaded("configuration", "in force")
        if self.certificates is not None and self.certificates.refresh():
            self._reloaded("certificate", "in force")

    def _reloaded(self, what: str, result: str) -> None:
        log.info("a new %s is %s", what, result)
        self.metrics.reloads.labels(what, result).inc()

    def _check(self) -> None:
        """What /readyz looks at."""
        front, watched, certificates = self.front, self.watched, self.certificates

        def table() -> tuple[str, bool, str]:
            live = front.view.table
            if front.error:
                return "table", False, front.error
            if not front.enforcing:
                return "table", True, f"not looked at in mode {watched.current.mode.value}"
            if not live.plan:
                return "table", True, "no plan is live"
            return (
                "table",
                True,
                (
                    f"plan {live.plan} generation {live.generation}: {len(live.members)} members, "
                    f"{len(live.tokens)} tokens, {len(front.view.locks)} locked nodes"
                ),
            )

        def configuration() -> tuple[str, bool, str]:
            if watched.error:
                return "configuration", False, f"the last good one is in force: {watched.error}"
            if watched.pending:
                return "configuration", False, f"a restart is due for {', '.join(watched.pending)}"
            return "configuration", True, "in force"

        def files() -> tuple[str, bool, str]:
            if certificates is None:
                return "certificate", True, "none; loopback only"
            if certificates.error:
                return "certificate", False, f"the last good one is in force: {certificates.error}"
            return "certificate", True, "in force"

        def validity() -> tuple[str, bool, str]:
            left = certificates.expires - front.clock.now() / 1000 if certificates else 1.0
            return "validity", left > 0, "good" if left > 0 else "the certificate has expired"

        self.health.checks.append(validity)
        self.health.notes.extend((table, configuration, files))
        if certificates is not None:
            self.metrics.expiry.set_function(lambda: certificates.expires)


def _trim() -> None:
    """Give free memory back; glibc keeps it, other C libraries have no such function."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _board(folder: str) -> Board:
    try:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder runtime {folder} cannot be made: {error.strerror}") from error
    return Board(folder)


def serve(watched: Watched) -> None:
    """Run the front end until it is told to end."""
    process = Process(watched)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(process.run())
