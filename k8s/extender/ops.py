"""Probes and metrics, on ports of their own: a scheduler's certificate is not needed for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from optsched import __version__

Check = Callable[[], tuple[str, bool, str]]  # name, fine or not, what there is to say


@dataclass
class Health:
    """How the process fares.

    Attributes
    ----------
    checks
        Those that must be fine for requests to be sent here.
    notes
        Those that somebody should know of; requests are answered all the same.
    stopping
        True from the signal to end on.
    stale
        Seconds without a heartbeat after which the loop counts as stuck.
    """

    checks: list[Check] = field(default_factory=list)
    notes: list[Check] = field(default_factory=list)
    stopping: bool = False
    stale: float = 2.0
    _beat: float = field(default_factory=time.monotonic)

    def beat(self) -> None:
        """The loop runs."""
        self._beat = time.monotonic()

    def live(self, request: Request) -> Response:
        """/livez"""
        del request
        silent = time.monotonic() - self._beat
        if silent > self.stale:
            return PlainTextResponse(f"no heartbeat for {silent:.1f} s\n", 500)
        return PlainTextResponse("ok\n")

    def ready(self, request: Request) -> Response:
        """/readyz; with ?verbose each check in a line."""
        lines, fine = [], not self.stopping
        for check in self.checks:
            name, good, said = check()
            fine = fine and good
            lines.append(f"[{'+' if good else '-'}] {name}: {said}")
        for note in self.notes:
            name, good, said = note()
            lines.append(f"[{'+' if good else '!'}] {name}: {said}")
        if self.stopping:
            lines.append("[-] stopping")
        lines.append("ready" if fine else "not ready")
        shown = lines if "verbose" in request.query_params else lines[-1:]
        return PlainTextResponse("\n".join(shown) + "\n", 200 if fine else 503)


def health_app(health: Health) -> Starlette:
    """/livez, /readyz and /version."""

    async def live(request: Request) -> Response:
        return health.live(request)

    async def ready(request: Request) -> Response:
        return health.ready(request)

    async def version(request: Request) -> Response:
        del request
        return JSONResponse({"version": __version__})

    return Starlette(
        routes=[Route("/livez", live), Route("/readyz", ready), Route("/version", version)]
    )


def metrics_app(registry: CollectorRegistry, settle: Callable[[], None] | None = None) -> Starlette:
    """/metrics; `settle` is called before they are read."""

    async def metrics(request: Request) -> Response:
        del request
        if settle is not None:
            settle()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/metrics", metrics)])
