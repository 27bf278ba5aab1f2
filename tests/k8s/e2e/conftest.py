"""A real control plane for the tests of this folder, and a place in it for each of them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.api import Api, Tree, bound, until
from tests.controlplane.beside import Beside, serving
from tests.controlplane.plane import Plane, running, why_not

_NUMBERS = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of them in one process, because they share a control plane."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("controlplane"))


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """The control plane that all tests share; its scheduler knows no extender."""
    if why := why_not():
        if os.environ.get("CI"):
            pytest.fail(f"these tests must run here: {why}")
        pytest.skip(why)
    with running(tmp_path_factory.mktemp("plane")) as plane:
        yield plane


@dataclass
class Place:
    """A namespace and nodes of a test's own.

    Attributes
    ----------
    nodes
        Names of all that were made.
    logs
        Of optsched; their ends are shown if the test fails.
    """

    plane: Plane
    namespace: str
    folder: Path
    nodes: list[str] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def api(self) -> Api:
        """Of the control plane, with all rights."""
        return self.plane.api

    def node(self, cpu: str = "2", **room: str) -> str:
        """Another node; its name."""
        name = f"{self.namespace}-n{len(self.nodes)}"
        self.nodes.append(name)
        self.api.node(name, cpu, **room)
        return name

    def serve(self, *parts: str, **settings: Any) -> Beside:
        """The service, until the test ends."""
        folder = self.folder / "optsched"
        self.logs.append(folder / "optsched.log")
        return self.stack.enter_context(serving(self.plane, folder, *parts, **settings))

    def extend(self, *extenders: Tree) -> None:
        """Let the scheduler ask these, until the test ends."""
        self.stack.callback(self.plane.start_scheduler, {})
        self.plane.start_scheduler({"extenders": list(extenders)})

    def homes(self, app: str = "") -> dict[str, str]:
        """The node of each pod, "" while it has none."""
        return {pod["metadata"]["name"]: bound(pod) for pod in self.api.pods(self.namespace, app)}

    def settled(self, count: int, app: str = "") -> dict[str, str]:
        """Wait until so many pods are there, all bound."""

        def found() -> dict[str, str] | None:
            homes = self.homes(app)
            return homes if len(homes) == count and all(homes.values()) else None

        homes: dict[str, str] = until(found, f"{count} bound pods in {self.namespace}")
        return homes


@pytest.fixture
def place(plane: Plane, tmp_path: Path) -> Iterator[Place]:
    """Everything that is made there goes when the test is over."""
    place = Place(plane, f"e2e-{next(_NUMBERS)}", tmp_path)
    plane.api.namespace(place.namespace)
    try:
        yield place
    finally:
        place.stack.close()
        plane.api.clear(place.namespace, place.nodes)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Show what the components said last when a test fails."""
    report = yield
    funcargs = getattr(item, "funcargs", {})
    if report.failed and "plane" in funcargs:
        report.sections.append(("control plane", funcargs["plane"].logs()))
        if "place" in funcargs:
            for log in funcargs["place"].logs:
                report.sections.append(("optsched", log.read_text(errors="replace")[-6000:]))
    return report
