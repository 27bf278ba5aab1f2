"""Plan and result files: they name items and hosts, and survive."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from optsched.errors import FormatError, PlanError
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import PlacementProblem
from optsched.result import Certificate, LevelValue, Result, Status
from optsched.snapshot import (
    decode_plan,
    decode_result,
    encode_plan,
    encode_result,
    encode_snapshot,
)

from .conftest import decode, document


def a_plan(problem: PlacementProblem) -> Plan:
    """A plan that moves an item, places one and gives one another cell."""
    moves = (Move(0, 0, 1), Move(1, -1, 0))
    return Plan(problem.digest(), Order.PARK, (Wave(moves), Wave((Move(2, 1, 1, (0,)),))))


def test_a_plan_names_items_and_hosts() -> None:
    """A plan file can be read by a person, and gives the same plan back."""
    problem = decode(document())
    written = encode_plan(problem, a_plan(problem))
    first = json.loads(written)["waves"][0]
    assert first == [{"item": "web-1", "from": "n1", "to": "n2"}, {"item": "web-2", "to": "n1"}]
    assert decode_plan(written, problem) == a_plan(problem)


@pytest.mark.parametrize(
    ("move", "words"),
    [
        ({"item": "web-9", "to": "n1"}, "the plan names the item 'web-9'"),
        ({"item": "web-1", "to": "n9"}, "names the host 'n9'"),
        ({"item": "web-1", "from": "n9"}, "names the host 'n9'"),
        ({"item": "train", "to": "n2", "cells": [5]}, "takes a cell that its host lacks"),
        ({"item": "train", "cells": [0]}, "takes a cell that its host lacks"),
    ],
)
def test_a_plan_for_something_else_is_refused(move: dict[str, Any], words: str) -> None:
    """A move of what the problem does not have is named."""
    plan = {"format": "optsched/plan", "version": 1, "problem": "", "waves": [[move]]}
    with pytest.raises(PlanError, match=r"^plan\.json: ") as caught:
        decode_plan(json.dumps(plan).encode(), decode(document()), "plan.json")
    assert words in str(caught.value)


def test_a_result_survives() -> None:
    """A result file holds the levels with their gaps, the certificate and a whole plan file."""
    problem = decode(document())
    result = Result(
        status=Status.FEASIBLE,
        plan=a_plan(problem),
        levels=(LevelValue("unplaced[0]", 1, 0, 4, "class x type LP"),),
        certificate=Certificate("tier", "park", "2 items", "Not proven."),
        solver="counts",
        seconds=0.25,
        dropped=(1,),
        notes=("a note",),
        stats={"columns": 12, "stage": "one", "seconds": np.float64(0.5).item()},
    )
    written = encode_result(problem, result)
    read = json.loads(written)
    assert read["levels"][0] == {
        "name": "unplaced[0]",
        "value": 1,
        "bound": 0,
        "stay": 4,
        "gap": 0.25,
        "proven": False,
        "source": "class x type LP",
    }
    assert read["dropped"] == ["web-2"]
    assert decode_result(written, problem) == result
    assert decode_plan(written, problem) == result.plan
    assert decode_plan(json.dumps(read["plan"]).encode(), problem) == result.plan


def test_a_snapshot_is_no_plan() -> None:
    """The message says which formats are expected instead."""
    problem = decode(document())
    with pytest.raises(FormatError, match="optsched/plan or optsched/result is expected"):
        decode_plan(encode_snapshot(problem), problem)
