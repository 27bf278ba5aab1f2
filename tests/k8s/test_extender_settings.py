"""The front end's configuration, scorers included: taken over while running, refused at first."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from .conftest import Start, pod, until
from .front_tables import NODES, ask, full, table


def test_settings_are_taken_over_while_running(start: Start) -> None:
    """A new value holds from the next heartbeat on; a bad file changes nothing and is told."""
    front = start(guard={"maxHold": "1h"})
    front.board.publish(table(locks={"n0": full()}))
    client, health = front.client(), front.client("health")
    assert ask(client, pod(), ["n0"]) == []
    good = front.config.read_text()
    front.config.write_text("nonsense: {")
    until(lambda: "[!] configuration: the last good one" in health.get("/readyz?verbose")[1])
    assert health.get("/readyz")[0] == 200
    assert ask(client, pod(), ["n0"]) == []
    tree = yaml.safe_load(good)
    tree["guard"]["maxHold"] = "10ms"
    front.config.write_text(yaml.safe_dump(tree))
    until(lambda: ask(client, pod(), ["n0"]) == ["n0"])
    assert "[+] configuration: in force" in health.get("/readyz?verbose")[1]


def test_the_switch_works_without_the_brain(start: Start) -> None:
    """In every other mode a table that is there counts for nothing, and is not acknowledged."""
    front = start(mode="Advisory")
    published = front.board.publish(table(locks={"n1": full()}))
    client, health = front.client(), front.client("health")
    assert ask(client, pod()) == NODES
    assert not front.board.is_acknowledged(published)
    assert "not looked at in mode Advisory" in health.get("/readyz?verbose")[1]
    tree = yaml.safe_load(front.config.read_text())
    for mode, left in (("Enforce", ["n0", "n2", "n3"]), ("Off", NODES), ("Enforce", NODES[:1])):
        if left == NODES[:1]:
            front.board.publish(table(locks={n: full() for n in NODES[1:]}))
        front.config.write_text(yaml.safe_dump({**tree, "mode": mode}))
        until(lambda left=left: ask(client, pod()) == left)


def test_a_bad_configuration_is_refused_at_the_start(start: Start) -> None:
    """One sentence, exit code 2."""
    with pytest.raises(AssertionError, match=r"Error: .*extender\.port"):
        start(extender={"port": "many"})
    with pytest.raises(AssertionError, match=r"prioritize\.scorer: nothing:here cannot be loaded"):
        start(prioritize={"scorer": "nothing:here"})


SCORERS = """
import os, time
def rising(question):
    assert question.request["cpu"] == 500
    return range(len(question.names))
def slow(question):
    time.sleep(60)
def dying(question):
    os._exit(3)
def wrong(question):
    return [11] * len(question.names)
"""


@pytest.mark.parametrize("name", ["rising", "slow", "dying", "wrong"])
def test_a_scorer_can_only_score(start: Start, tmp_path: Path, name: str) -> None:
    """In time its scores are given; a slow, dying or wrong one changes nothing."""
    (tmp_path / "scorers.py").write_text(SCORERS)
    front = start(
        {"PYTHONPATH": str(tmp_path)},
        prioritize={"scorer": f"scorers:{name}", "budget": "30s" if name != "slow" else "50ms"},
    )
    request = {"Pod": pod(), "Nodes": None, "NodeNames": NODES}
    client = front.client()
    scores = [one["Score"] for one in client.post("prioritize", request)]
    assert scores == ([0, 1, 2, 3] if name == "rising" else [0, 0, 0, 0])
    assert ask(client, pod()) == NODES
    assert [one["Host"] for one in client.post("prioritize", request)] == NODES
