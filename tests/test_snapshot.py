"""Snapshot, plan and result files: what a person may write, and what is refused and how."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from optsched import snapshot
from optsched.api import read
from optsched.errors import FormatError, InputError, PlanError, ProblemError
from optsched.limits import LimitKind
from optsched.plan import Move, Order, Plan, Wave
from optsched.problem import Cells, Evict, Hosts, Items, PlacementProblem, When
from optsched.result import Certificate, LevelValue, Result, Status
from optsched.snapshot import (
    decode_plan,
    decode_result,
    decode_snapshot,
    encode_plan,
    encode_result,
    encode_snapshot,
    read_bytes,
    write_atomically,
)
from optsched.snapshot.schema import RECORDS, published, schema

HEAD = {"format": "optsched/snapshot", "version": 1, "kind": "placement"}


def document(**fields: Any) -> dict[str, Any]:
    """A small snapshot as a person would write it, with some fields changed."""
    return {
        **HEAD,
        "tiers": ["high", "low"],
        "hosts": [
            {"name": "n1", "capacity": {"cpu": 4000, "memory": 8192}, "domains": {"zone": "a"}},
            {
                "name": "n2",
                "capacity": {"cpu": 4000, "gpus": 2},
                "domains": {"zone": "b"},
                "cells": [{"kind": "gpu", "capacity": {"milli": 1000}, "count": 2}],
            },
        ],
        "classes": [{"name": "web", "demand": {"cpu": 500}, "tier": "low", "owner": "rs/web"}],
        "items": [
            {"name": "web-1", "class": "web", "host": "n1"},
            {"name": "web-2", "class": "web", "tier": "high"},
            {
                "name": "train",
                "demand": {"memory": 1},
                "cells_needed": 1,
                "cell_demand": {"milli": 300},
                "host": "n2",
                "cells": [1],
                "where": "gpu only",
            },
        ],
        "eligibility": [{"name": "gpu only", "rules": [{"name": "affinity", "only": ["n2"]}]}],
        "groups": [{"name": "web", "items": ["web-1", "web-2"]}],
        "limits": [{"kind": "conflict", "key": "zone", "subject": "web", "name": "apart"}],
        "budgets": [{"name": "pdb", "items": ["web-1"], "allowed": 1}],
        **fields,
    }


def decode(value: dict[str, Any]) -> PlacementProblem:
    """The problem of a document."""
    return decode_snapshot(json.dumps(value).encode(), "cluster.json")


def test_names_become_numbers() -> None:
    """What a person writes by name ends up in the tables, with the defaults filled in."""
    p = decode(document(evict="lower", during=["memory"], max_moves=3))
    assert p.resources == ("cpu", "memory", "gpus")
    assert p.hosts.capacity.tolist() == [[4000, 8192, 0], [4000, 0, 2]]
    assert p.items.demand.tolist() == [[500, 0, 0], [500, 0, 0], [0, 1, 0]]
    assert p.items.tier.tolist() == [1, 0, 0]
    assert p.items.host0.tolist() == [0, -1, 1]
    assert p.items.owner.tolist() == [0, 0, -1]
    assert p.owners == ("rs/web",)
    assert p.items.cells0.tolist() == [[-1], [-1], [1]]
    assert p.cells.kinds == ("gpu",)
    assert p.cells.host.tolist() == [1, 1]
    assert p.where.excluded[p.where.item_eligible].tolist() == [[0, 0], [0, 0], [1, 0]]
    assert p.where.keys == ("host", "zone")
    assert p.where.domain_names[1] == ("a", "b")
    assert p.limits.kind.tolist() == [LimitKind.CONFLICT]
    assert p.limits.counted.tolist() == p.limits.subject.tolist() == [0]
    assert p.budgets.allowed.tolist() == [1]
    assert p.when.tolist() == [When.AFTER, When.DURING, When.AFTER]
    assert (p.evict, p.max_moves, p.owner_at_once) == (Evict.LOWER, 3, -1)
    assert [level.name for level in p.objective][:3] == ["unplaced[0]", "evicted[0]", "moved[0]"]


def test_the_example_of_the_documentation_is_read() -> None:
    """The small snapshot in the package's docstring is one."""
    text = snapshot.__doc__ or ""
    problem = decode(json.loads(text[text.index("    {\n") :]))
    assert problem.items.names == ("web-1", "web-2", "db")
    assert problem.limits.names == ("one per zone",)


def test_one_record_per_line() -> None:
    """Every host and item has a line of its own, so that a diff of two files says something."""
    text = encode_snapshot(decode(document())).decode()
    assert len([line for line in text.splitlines() if '"name":"web-' in line]) == 2
    assert json.loads(text)["format"] == "optsched/snapshot"


def test_equal_items_share_a_class() -> None:
    """A file of many equal items says what they are once."""
    items = [{"name": f"i{at}", "demand": {"cpu": 7}} for at in range(5)]
    written = json.loads(encode_snapshot(decode({**HEAD, "hosts": [HOST], "items": items})))
    assert written["classes"] == [{"name": "class 0", "demand": {"cpu": 7}}]
    assert written["items"][4] == {"name": "i4", "class": "class 0"}


HOST = {"name": "h", "capacity": {"cpu": 10}}


@pytest.mark.parametrize("hosts", [[], [HOST]])
@pytest.mark.parametrize("items", [[], [{"name": "i"}]])
def test_nothing_is_a_problem_too(hosts: list[Any], items: list[Any]) -> None:
    """No hosts, no items, or neither, is read and written like anything else."""
    problem = decode({**HEAD, "hosts": hosts, "items": items})
    assert (len(problem.hosts), len(problem.items)) == (len(hosts), len(items))
    assert decode_snapshot(encode_snapshot(problem)).digest() == problem.digest()


def test_overcommitted_hosts_are_read() -> None:
    """A host may hold more than its capacity: real clusters do."""
    items = [{"name": "big", "demand": {"cpu": 99}, "host": "h"}]
    assert decode({**HEAD, "hosts": [HOST], "items": items}).items.host0.tolist() == [0]


@pytest.mark.parametrize("name", ["ünï/cödé 🙂", "a" * 60_000, "", 'quote " and \\ and \n'])
def test_odd_names_survive(name: str) -> None:
    """Any text of up to 64 KiB is a name."""
    problem = decode({**HEAD, "hosts": [{"name": name}], "items": [{"name": name, "host": name}]})
    assert decode_snapshot(encode_snapshot(problem)).items.names == (name,)


def item(**fields: Any) -> dict[str, Any]:
    """A document whose only item has these fields."""
    return document(items=[{"name": "x", **fields}], groups=[], limits=[], budgets=[])


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (document(version=2), "has version 2; this release of optsched understands version 1"),
        (document(version=None), "has no `version`"),
        (document(format="other"), "is of format 'other'; optsched/snapshot is expected"),
        (document(kind="fleet"), "is of kind 'fleet'; this release understands placement"),
        (document(colour="red"), "unknown field `colour`"),
        (document(evict="maybe"), "Invalid enum value 'maybe'"),
        (document(order="size"), "order 'size' is not known"),
        (document(hosts=[HOST, HOST]), "host 'h': the name is used twice"),
        (document(hosts=[{"name": "h", "capacity": {"cpu": -1}}]), "`int` >= 0"),
        (document(hosts=[{"name": "h", "capacity": {"cpu": 1 << 60}}]), "`int` <= 90071992"),
        (document(hosts=[{"name": "h", "capacity": {"cpu": 0.5}}]), "hosts[0]"),
        (document(resources=["cpu", "cpu"]), "resource 'cpu': the name is used twice"),
        (document(resources=["cpu"]), "host 'n1' names the resource 'memory'"),
        (document(during=["disk"]), "names the resource 'disk'"),
        (document(groups=[{"name": "web", "items": ["web-9"]}]), "group 'web' names the item"),
        (document(limits=[{"kind": "max", "subject": "db"}]), "limit 0 names the group 'db'"),
        (
            document(limits=[{"kind": "max", "subject": "web", "key": "rack", "name": "l"}]),
            "limit 'l' names the topology key 'rack'",
        ),
        (document(limits=[{"kind": "conflict", "subject": "web"}]), "only MAX may span"),
        (document(budgets=[{"name": "b", "items": ["y"], "allowed": 1}]), "budget 'b' names"),
        (document(inflight=[{"item": "web-2", "source": "n1"}]), "must be pinned to its target"),
        (document(eligibility=[{"name": "e", "rules": [{"name": "r"}]}]), "`only` or `not`"),
        (document(classes=[]), "item 'web-1' names the class 'web'"),
        (document(classes=[{"name": "c"}, {"name": "c"}]), "class 'c': the name is used twice"),
        (document(objective=[{"name": "o", "terms": [{"kind": "fun"}]}]), "Invalid enum value"),
        (item(host="n9"), "item 'x' names the host 'n9', which the file does not have"),
        (item(demand={"cpus": 1}), "item 'x' names the resource 'cpus'"),
        (item(tier="middle"), "item 'x' names the tier 'middle'"),
        (item(tier=5), "'x': the tier is outside 0..1"),
        (item(weight=0), "`int` >= 1"),
        (item(host=3), "Expected `str | null`, got `int` - at `$.items[0].host` ('x')"),
        (item(host="n2", cells_needed=1, cells=[2]), "item 'x' names the cells [2]"),
        (item(host="n2", cells_needed=2, cells=[0, 0]), "distinct cells"),
        (item(cells_needed=1, cells=[0]), "item 'x' names the cells [0]"),
        (item(host="n2", cells_needed=1), "too few"),
        (item(where="nowhere"), "item 'x' names the eligibility 'nowhere'"),
        (item(name="a" * 10_000_000), "the name has 10,000,000 characters"),
    ],
)
def test_bad_input_is_named(bad: dict[str, Any], words: str) -> None:
    """What is wrong is said in one sentence with the file, the object and the reason."""
    with pytest.raises(InputError) as caught:
        decode(bad)
    message = str(caught.value)
    assert message.startswith("cluster.json: ")
    assert words in message
    assert "\n" not in message
    assert len(message) < 400


def test_a_tier_name_needs_the_list_of_tiers() -> None:
    """The order of tiers cannot be guessed from their names."""
    with pytest.raises(FormatError, match="has no `tiers`; list their names there, highest first"):
        decode({**HEAD, "hosts": [], "items": [{"name": "x", "tier": "high"}]})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "the file is empty"),
        (b"   \n", "the file is empty"),
        (b"{", "the JSON ends too early"),
        (b"{'a': 1}", "malformed"),
        (b"[1, 2]", "Expected `object`, got `array`"),
        (b'{"format": "\xff"}', "UTF-8"),
        (b'{"x": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_not_json_is_refused(data: bytes, words: str) -> None:
    """Empty, cut, broken or absurdly nested text is told apart."""
    with pytest.raises(FormatError, match=r"^f\.json: ") as caught:
        decode_snapshot(data, "f.json")
    assert words in str(caught.value)


def test_every_cut_is_noticed() -> None:
    """A file that ends anywhere before its end is refused."""
    whole = encode_snapshot(decode(document())).rstrip()
    for end in range(0, len(whole), 7):
        with pytest.raises(FormatError):
            decode_snapshot(whole[:end], "cut.json")


def test_gzip_and_other_encodings(tmp_path: Path) -> None:
    """Gzip is found by content; a byte order mark or UTF-16 text does no harm."""
    text = json.dumps(document())
    for name, data in {
        "plain.json": text.encode(),
        "packed": gzip.compress(text.encode()),
        "bom.json": b"\xef\xbb\xbf" + text.encode(),
        "powershell.json": text.encode("utf-16"),
    }.items():
        (tmp_path / name).write_bytes(data)
        assert decode_snapshot(read_bytes(tmp_path / name)).items.names[0] == "web-1"


def test_a_broken_gzip_is_named(tmp_path: Path) -> None:
    """A cut or damaged gzip stream is an error with the file's name."""
    packed = gzip.compress(json.dumps(document()).encode())
    for name, data in {
        "cut.gz": packed[:-20],
        "bad.gz": packed[:40] + b"\x00" * 20 + packed[60:],
        "head.gz": packed[:4],
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(FormatError, match=name):
            read_bytes(tmp_path / name)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """No file, or a folder in its place, is bad input, not a traceback."""
    with pytest.raises(InputError, match="nowhere"):
        read_bytes(tmp_path / "nowhere")
    with pytest.raises(InputError, match="cannot be read"):
        read_bytes(tmp_path)


def test_writing_replaces_or_leaves_alone(tmp_path: Path) -> None:
    """A file is replaced as a whole, keeps its permissions, and leaves nothing beside it."""
    target = tmp_path / "out.json"
    write_atomically(target, b"one")
    target.chmod(0o640)
    write_atomically(target, b"two")
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o640
    assert os.listdir(tmp_path) == ["out.json"]
    with pytest.raises(InputError, match="cannot be written"):
        write_atomically(tmp_path / "missing" / "out.json", b"three")


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the rename fails, the old content stays and no temporary file does."""
    target = tmp_path / "out.json"
    write_atomically(target, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(InputError, match="disk full"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.json"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """Writing to a link changes the file that it leads to."""
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


def test_gzip_by_name_is_reproducible(tmp_path: Path) -> None:
    """The name decides about gzip, and the same data give the same bytes."""
    for name in ("a.json.gz", "b.json.gz"):
        write_atomically(tmp_path / name, b"data")
    first, second = ((tmp_path / name).read_bytes() for name in ("a.json.gz", "b.json.gz"))
    assert first == second
    assert gzip.decompress(first) == b"data"


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


@pytest.mark.parametrize("name", RECORDS)
def test_published_schemas_are_current(name: str) -> None:
    """The shipped JSON schemas are those of the code: python -m optsched.snapshot.schema."""
    assert published(name) == schema(name)


def test_tables_that_contradict_each_other_keep_their_error() -> None:
    """What the tables refuse stays a ProblemError, with the file named."""
    with pytest.raises(ProblemError, match=r"^cluster\.json: 'x': the tier"):
        decode(item(tier=5))


def test_overfull_cells_and_what_fits_none_are_told_of_once(tmp_path: Path) -> None:
    """A warning names them; it is not doubled when the file is written and read again."""
    problem = PlacementProblem.of(
        Hosts.of([[9], [9]], names=["a", "b"]),
        Items.of(
            [[1]] * 3,
            names=["fits", "tight", "huge"],
            cells_needed=1,
            cell_demand=[[2], [3], [5]],
            host0=[0, 0, 1],
            cells0=[[1], [1], [2]],
        ),
        cells=Cells.of([0, 0, 1], [[4]] * 3, kinds=("GPU",)),
    )
    path = tmp_path / "crowded.json"
    path.write_bytes(encode_snapshot(problem))
    again = read(path)
    assert again.warnings == (
        "2 GPUs are overfull, so nothing enters before something leaves: a/1, b/0",
        "1 item is too large for any GPU, so there is nowhere to go: huge",
    )
    path.write_bytes(encode_snapshot(again))
    assert read(path).warnings == again.warnings
