"""It does less than was asked for where something is in the way, and says why."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from optsched.k8s.brain.mood import Mood
from optsched.k8s.configuration import Watched
from optsched.k8s.rights import BESIDE, EVICT, NOMINATE, WAKE, Right, Rights
from optsched.k8s.settings import Mode


def mood(
    skew: float = 0.0, missing: tuple[Right, ...] = (), deployment: str = "ControlPlane"
) -> Mood:
    """Asked to enforce, by an account that lacks some rights."""
    wanted = {"MODE": "Enforce", "DEPLOYMENT": deployment}
    watched = Watched(None, {f"OPTSCHED_CONFIG_{name}": text for name, text in wanted.items()})
    api: Any = SimpleNamespace(skew=skew)
    mirror: Any = None
    rights = Rights(api, "optsched", "optsched", known=True, missing=frozenset(missing))
    return Mood(watched, api, mirror, rights)


def test_nothing_in_the_way() -> None:
    """Then it enforces, and suggests nodes."""
    free = mood(skew=1.9)
    assert free.mode is Mode.ENFORCE
    assert free.settings().moves.nominate == "Auto"
    assert free.mode_in_force() == ("mode", True, "Enforce")


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ({"skew": 2.1}, "the clock differs from the API server's by 2.1 s"),
        ({"skew": -3600.0}, "the clock differs from the API server's by -3600.0 s"),
        ({"missing": (EVICT,)}, "may not create pods/eviction"),
        ({"missing": (BESIDE,)}, "may not get leases.coordination.k8s.io of the schedulers"),
        ({"missing": (WAKE,), "deployment": "Gated"}, "may not patch pods, which opens gates"),
    ],
)
def test_advisory_and_why(what: dict[str, Any], why: str) -> None:
    """It reports only, and names what is in the way."""
    held = mood(**what)
    assert held.mode is Mode.ADVISORY
    name, fine, said = held.mode_in_force()
    assert (name, fine) == ("mode", False)
    assert said.startswith("Advisory, not Enforce: ")
    assert why in said


def test_rights_that_only_speed_up() -> None:
    """Without them it acts all the same, and suggests no nodes."""
    slow = mood(missing=(NOMINATE, WAKE))
    assert slow.mode is Mode.ENFORCE
    assert slow.settings().moves.nominate == "Off"
    assert not slow.optional_rights()[1]


def test_nobody_asks_once_it_is_off() -> None:
    """To the API server a question about rights is a write; the rest is asked when it is on."""
    asked: list[str] = []

    class Api:
        async def request(self, method: str, path: str, body: Any) -> bytes:
            asked.append(body["spec"]["resourceAttributes"]["verb"])
            return b'{"status": {"allowed": true}}'

    rights = Rights(Api(), "optsched", "optsched")  # type: ignore[arg-type]
    asyncio.run(rights.check(lambda: len(asked) < 3))
    assert (len(asked), rights.known) == (3, False)
    asyncio.run(rights.check())
    assert rights.known
    assert not rights.missing


def test_rights_that_are_not_known_yet() -> None:
    """Nothing is done before they are."""
    young = mood()
    young._rights.known = False
    assert young.mode is Mode.ADVISORY
