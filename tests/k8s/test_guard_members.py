"""Members of a plan and replacements of what it moves: who goes where, and who waits how long."""

from __future__ import annotations

import msgspec
import pytest
from guarding import LATER, NODES, NOW, ask, lock, plan, pod, token

from optsched.k8s import guard
from optsched.k8s.guard import Result
from optsched.k8s.memory import ASSUMED, ATTEMPT, Memory
from optsched.k8s.table import Member
from optsched.k8s.wire import Pod


def test_a_member_sees_its_target_only() -> None:
    """Rule 2: the other nodes are rejected, each with a reason."""
    table = plan(members={"m": Member("n2", LATER)})
    decision = ask(table, pod("m"))
    assert decision.result is Result.STEERED
    assert decision.kept == ["n2"]
    assert set(decision.rejected) == {"n0", "n1", "n3"}
    assert ask(table, pod()).kept is None


def test_a_member_waits_for_a_target_that_is_not_offered() -> None:
    """Two attempts are waited out, however often each asks; in the third it may go anywhere."""
    table = plan(members={"m": Member("n9", LATER)}, locks={"n1": lock(100, 100)})
    memory = Memory()
    for attempt in (0, 1):
        for delay in (0, 10, ATTEMPT - 1):
            decision = ask(table, pod("m"), memory=memory, now=NOW + attempt * 1000 + delay)
            assert decision.kept == []
            assert "n9" in decision.rejected["n0"]
    third = ask(table, pod("m"), memory=memory, now=NOW + 2000)
    assert third.kept == ["n0", "n2", "n3"]
    assert third.released == "m"
    assert memory.released == {"m"}


def test_a_released_member_still_may_use_its_target() -> None:
    """When the target turns up late the member goes there."""
    table = plan(members={"m": Member("n1", LATER)}, locks={"n1": lock(500, 500)})
    memory = Memory()
    for attempt in range(3):
        ask(table, pod("m"), ["n0"], memory, NOW + attempt * 1000)
    assert ask(table, pod("m"), ["n0", "n1"], memory, NOW + 3000).kept == ["n1"]


def test_a_member_past_its_deadline_is_any_pod() -> None:
    """It keeps off nodes locked for others; its own target stays open to it."""
    table = plan(
        members={"m": Member("n1", NOW)}, locks={"n1": lock(500, 500), "n2": lock(500, 500)}
    )
    decision = ask(table, pod("m"))
    assert decision.kept == ["n0", "n1", "n3"]
    assert decision.released == "m"


def test_a_member_waits_while_its_movers_are_not_placed() -> None:
    """Rule 3: not even its target, until the brain opens it; the deadline ends that too."""
    table = plan(members={"m": Member("n1", LATER, open=False)})
    assert ask(table, pod("m")).rejected == dict.fromkeys(NODES, guard.CLOSED)
    late = plan(members={"m": Member("n1", NOW, open=False)})
    assert ask(late, pod("m")).kept is None


def test_a_replacement_takes_a_token() -> None:
    """A pod of the same owner and template goes where the plan wants one."""
    table = plan(tokens=(token("t1", "n3"),))
    assert ask(table, pod("r", owner="rs")).kept == ["n3"]


@pytest.mark.parametrize(
    "who",
    [
        pod("r", owner="other"),
        pod("r", owner="rs", hash_="new"),
        pod("r", owner="rs", namespace="elsewhere"),
        pod("r", owner="rs", created="2027-01-15T07:59:53Z"),
        pod("r", owner="rs", created="nonsense"),
        pod("r"),
    ],
)
def test_others_take_no_token(who: Pod) -> None:
    """Another owner, revision or namespace, or a pod that was there before, is a stranger."""
    assert ask(plan(tokens=(token("t1", "n3"),)), who).kept is None


def test_a_pod_of_the_second_of_the_eviction_takes_the_token() -> None:
    """The API keeps whole seconds, and its clock may be behind: a replacement may look older."""
    table = plan(tokens=(msgspec.structs.replace(token("t1", "n3"), issued=NOW + 999),))
    for created in ("2027-01-15T08:00:00Z", "2027-01-15T07:59:55Z"):
        assert ask(table, pod("r", owner="rs", created=created)).kept == ["n3"]
    assert ask(table, pod("r", owner="rs", created="2027-01-15T07:59:54Z")).kept is None


def test_a_pod_that_was_there_takes_no_token() -> None:
    """Though clocks could not tell, the brain knew it when it asked for the eviction."""
    table = plan(tokens=(token("t1", "n3", known=("old",)),))
    assert ask(table, pod("old", owner="rs")).kept is None
    assert ask(table, pod("r", owner="rs")).kept == ["n3"]


def test_tokens_are_counted() -> None:
    """Two tokens serve two pods, a third of the owner (a scale-up) is a stranger."""
    table = plan(tokens=(token("t1", "n1"), token("t2", "n2")))
    memory = Memory()
    first = ask(table, pod("a", owner="rs"), memory=memory).kept
    second = ask(table, pod("b", owner="rs"), memory=memory).kept
    assert sorted([*(first or ()), *(second or ())]) == ["n1", "n2"]
    assert ask(table, pod("c", owner="rs"), memory=memory).kept is None
    assert ask(table, pod("a", owner="rs"), memory=memory, now=NOW + 20_000).kept == first


def test_a_token_prefers_a_node_that_is_offered() -> None:
    """Pods of one owner are alike: whoever can go now takes the place that is free now."""
    table = plan(tokens=(token("t1", "n8"), token("t2", "n2")))
    assert ask(table, pod("a", owner="rs")).kept == ["n2"]


def test_a_token_of_a_pod_that_vanished_is_free_again() -> None:
    """At once when the brain says so, else after a while."""
    table = plan(tokens=(token("t1", "n1"),))
    memory = Memory()
    ask(table, pod("a", owner="rs"), memory=memory)
    assert ask(table, pod("b", owner="rs"), memory=memory).kept is None
    memory.settle(["a"])
    assert ask(table, pod("b", owner="rs"), memory=memory).kept == ["n1"]
    late = ask(table, pod("c", owner="rs"), memory=memory, now=NOW + ASSUMED)
    assert late.kept == ["n1"]


def test_names_and_indices_bind_a_token() -> None:
    """Pods of a StatefulSet or an indexed Job are not alike."""
    table = plan(tokens=(token("t1", "n1", name="db-0"), token("t2", "n2", index="7")))
    label = "batch.kubernetes.io/job-completion-index"
    assert ask(table, pod("a", owner="rs", name="db-0")).kept == ["n1"]
    assert ask(table, pod("b", owner="rs", labels={label: "7"})).kept == ["n2"]
    assert ask(table, pod("c", owner="rs", name="db-1", labels={label: "8"})).kept is None
