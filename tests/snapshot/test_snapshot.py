"""Snapshot files: what a person may write, and what is refused and how."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from optsched import snapshot
from optsched.api import read
from optsched.errors import FormatError, InputError, ProblemError
from optsched.limits import LimitKind
from optsched.problem import Cells, Evict, Hosts, Items, PlacementProblem, When
from optsched.snapshot import (
    decode_snapshot,
    encode_snapshot,
)
from optsched.snapshot.schema import RECORDS, published, schema

from .conftest import HEAD, decode, document


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
