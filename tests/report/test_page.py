"""The HTML report, read as text."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from optsched.plan import Move, Plan, Wave
from optsched.problem import Hosts, Items, PlacementProblem
from optsched.report import page, plan_page
from optsched.report.hosts import MOST_HOSTS
from optsched.result import Result

HOSTILE = "<script>document.title='owned'</script>"
VOID = {"meta", "input", "link", "br"}


class Reader(HTMLParser):
    """Collects text and attributes and refuses elements that are not closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.links: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember what is open and where links lead."""
        if tag not in VOID:
            self.open.append(tag)
        self.scripts += tag == "script"
        self.links += [value or "" for key, value in attrs if key in ("src", "href", "action")]

    def handle_endtag(self, tag: str) -> None:
        """Refuse what was not opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Remember the text."""
        self.text.append(data)


def read(text: str) -> Reader:
    """The page, parsed to its end."""
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def test_everything_is_there(small_cluster: PlacementProblem, answer: Result) -> None:
    """Certificate, pending items with reasons, waves, moves, hosts and notes are on the page."""
    shown = " ".join(read(page(small_cluster, answer)).text)
    for wanted in (
        "1 of 2 pending items get a host",
        "feasible",
        answer.certificate.text.replace("moved[1]", f"moved, {small_cluster.tiers[1]}"),
        "unplaced, silver",
        "shop/huge",
        "lack cpu (needs 9",
        "shop/cart-1",
        "node-2",
        "cpu: 3 before, 4 after, of 4",
        "hm",
        "by hand",
    ):
        assert wanted in shown


def test_self_contained(small_cluster: PlacementProblem, answer: Result) -> None:
    """Nothing is fetched: no link, no address, and a policy that forbids it."""
    text = page(small_cluster, answer)
    assert read(text).links == []
    assert not re.search(r"(https?:)?//\w", text)
    assert "default-src 'none'" in text


def test_hostile_names_are_text(small_cluster: PlacementProblem, answer: Result) -> None:
    """Names, reasons and notes from a file never become markup."""
    hostile = small_cluster.replace(
        name=HOSTILE,
        hosts=replace(small_cluster.hosts, names=(HOSTILE, '"><img src=x>', "node-3")),
        items=replace(
            small_cluster.items, names=(*(f"{HOSTILE}{n}" for n in range(5)), "' onload='x")
        ),
        where=replace(small_cluster.where, rule_names=(HOSTILE,)),
        tiers=(HOSTILE, "silver"),
        warnings=(HOSTILE,),
    )
    plan = replace(answer.plan, problem=hostile.digest())
    reader = read(page(hostile, replace(answer, plan=plan, notes=(HOSTILE,))))
    assert reader.scripts == 1
    assert reader.links == []
    assert any(HOSTILE in text for text in reader.text)


def test_a_snapshot_alone(small_cluster: PlacementProblem) -> None:
    """Without a plan the page shows the state and why things are pending."""
    shown = " ".join(read(plan_page(small_cluster, Plan(small_cluster.digest()))).text)
    assert "2 items pending. No plan" in shown
    assert "Certificate" not in shown
    assert "shop/wide" in shown


def test_a_plan_alone(small_cluster: PlacementProblem, answer: Result) -> None:
    """A plan without a result is shown without a certificate."""
    shown = " ".join(read(plan_page(small_cluster, answer.plan)).text)
    assert "1 of 2 pending items get a host, 1 moved, 0 evicted." in shown
    assert "Certificate" not in shown


@pytest.mark.parametrize("hosts", [0, 1])
def test_nothing_to_show(hosts: int) -> None:
    """No hosts and no items make a page too."""
    problem = PlacementProblem.of(
        Hosts.of(np.ones((hosts, 1), int)), Items.of(np.ones((0, 1), int))
    )
    shown = " ".join(read(plan_page(problem, Plan(problem.digest()))).text)
    assert "0 items pending" in shown


def test_large_clusters_show_what_changes() -> None:
    """Of many hosts only those that change are drawn, beside the distribution of all."""
    count = MOST_HOSTS + 1
    items = Items.of([[1]] * 3, host0=[0, 1, -1])
    problem = PlacementProblem.of(Hosts.of([[2]] * count), items)
    wave = Wave((Move(2, -1, 5),))
    text = plan_page(problem, Plan(problem.digest(), waves=(wave,)))
    assert "1 host of 151 change." in " ".join(read(text).text)
    assert re.findall(r'class="host( changed)?"', text) == [" changed"]
    assert "<figure>" in text


def test_large_clusters_that_stay_show_full_hosts() -> None:
    """Where nothing changes, those that have least room."""
    count = MOST_HOSTS + 20
    items = Items.of([[1], [2]], host0=[count - 1, count - 3])
    problem = PlacementProblem.of(Hosts.of([[2]] * count), items)
    text = plan_page(problem, Plan(problem.digest()))
    assert f"0 hosts of {count} change. The {MOST_HOSTS} fullest are drawn." in text
    assert text.count('class="host"') == MOST_HOSTS
    drawn = re.findall(r'class="host-name"><b>(\w+)', text)
    assert drawn[-2:] == [problem.hosts.names[count - 3], problem.hosts.names[count - 1]]
