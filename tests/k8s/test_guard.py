"""The guard keeps a plan's room from strangers, harms nobody for long, and fails open."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from guarding import LATER, NODES, NOW, RULES, ask, lock, plan, pod, token
from hypothesis import given
from hypothesis import strategies as st

from optsched.errors import FormatError
from optsched.k8s import guard
from optsched.k8s.guard import Decision, Preempt, Result, Rules, View, decide, veto
from optsched.k8s.memory import ASSUMED, IDLE, Memory
from optsched.k8s.table import EMPTY, Lock, Member, PlanTable
from optsched.k8s.wire import Pod


def test_without_a_plan_everything_passes() -> None:
    """The empty table rejects nothing."""
    assert ask(EMPTY, pod()) == Decision()


def test_a_plan_past_its_end_is_none() -> None:
    """What a dead brain left behind ends by itself."""
    table = plan(locks={"n0": lock(0, 0)}, members={"m": Member("n1", LATER)}, expires=NOW)
    assert ask(table, pod()) == Decision()
    assert ask(table, pod("m")) == Decision()


def test_strangers_may_use_what_a_plan_leaves() -> None:
    """Rule 4: a locked node is rejected exactly if the pod does not fit beside the plan."""
    table = plan(locks={"n0": lock(1000, 600), "n1": lock(1000, 500), "n2": lock(100, 600)})
    decision = ask(table, pod(cpu="500m"))
    assert decision.kept == ["n1", "n3"]
    assert set(decision.rejected) == {"n0", "n2"}
    assert decision.shown == ("n1",)


def test_a_closed_node_is_for_the_plan_alone() -> None:
    """However much room there is."""
    table = plan(locks={"n0": lock(10_000, 0, closed=True)})
    assert ask(table, pod(cpu="1m")).rejected == {"n0": guard.KEPT}


def test_resources_that_are_not_asked_for_do_not_matter() -> None:
    """A pod without requests still takes one of the pods, and nothing else."""
    table = plan(locks={"n0": lock(0, 500), "n1": Lock(LATER, {"pods": 1}, {"pods": 1})})
    assert ask(table, pod(cpu="0")).rejected == {"n1": guard.KEPT}


def test_what_a_lock_does_not_name_is_the_schedulers_matter() -> None:
    """A resource that is reserved and not free is kept; one that is neither is not looked at."""
    table = plan(locks={"n0": Lock(LATER, {}, {"cpu": 1}), "n1": Lock(LATER, {}, {"memory": 1})})
    assert ask(table, pod(cpu="1m")).rejected == {"n0": guard.KEPT}


def test_pods_on_their_way_count() -> None:
    """Until bound, gone or half a minute later, a pod that was let on takes its room."""
    table = plan(locks={"n0": lock(1000, 0)})
    memory = Memory()
    assert ask(table, pod("a", "600m"), memory=memory).kept is None
    assert ask(table, pod("b", "600m"), memory=memory).rejected == {"n0": guard.KEPT}
    assert ask(table, pod("b", "400m"), memory=memory).kept is None
    memory.settle(["b"])
    assert ask(table, pod("a", "600m"), memory=memory, now=NOW + 1).kept is None
    memory.settle(["a"])
    assert ask(table, pod("b", "600m"), memory=memory).kept is None
    late = NOW + ASSUMED
    assert ask(table, pod("c", "600m"), memory=memory, now=late).kept is None


def test_a_pod_that_failed_counts_where_it_was_let_last() -> None:
    """A new attempt that is not shown the node gives its room back."""
    table = plan(locks={"n0": lock(1000, 0)})
    memory = Memory()
    ask(table, pod("a", "600m"), memory=memory)
    ask(table, pod("a", "600m"), ["n3"], memory=memory)
    assert ask(table, pod("b", "600m"), memory=memory).kept is None


def test_higher_priorities_pass_and_are_told() -> None:
    """The guard never keeps out what preemption would let in."""
    table = plan(locks={"n0": lock(500, 500), "n1": lock(5000, 500)})
    memory = Memory()
    decision = ask(table, pod(priority=6), memory=memory)
    assert decision.kept is None
    assert decision.at_risk == ("n0",)
    assert memory.at_risk == {"n0"}
    assert ask(table, pod("equal", priority=5)).kept == ["n1", "n2", "n3"]


def test_nobody_is_kept_out_for_long() -> None:
    """After max_hold without any node the guard yields; a node in between starts anew."""
    table = plan(locks={"n0": lock(0, 500)})
    memory = Memory()
    assert ask(table, pod(), ["n0"], memory).kept == []
    assert ask(table, pod(), ["n0"], memory, NOW + 29_999).kept == []
    decision = ask(table, pod(), ["n0"], memory, NOW + 30_000)
    assert decision.result is Result.YIELDED
    assert decision.kept is None
    assert memory.at_risk == {"n0"}
    ask(table, pod(), ["n0", "n3"], memory, NOW + 30_001)
    assert ask(table, pod(), ["n0"], memory, NOW + 30_002).kept == []


def made(without: int, free: int, most: int) -> Lock:
    """A node all of whose room is reserved, some of it made by the plan."""
    rooms = [{"cpu": cpu, "pods": 100} for cpu in (free, most, without, most)]
    return Lock(LATER, rooms[0], rooms[1], without=rooms[2], most=rooms[3])


def test_room_that_the_plan_has_made_is_not_given_away() -> None:
    """Who would not fit without the plan is kept from it as long as it lasts."""
    memory = Memory()
    for free in (
        400,
        600,
    ):  # before the brain knows that those who were evicted have gone, and after
        table = plan(locks={"n0": made(400, free, 600)})
        for now in (NOW, NOW + 30_000, LATER - 1):
            decision = ask(table, pod(cpu="500m"), ["n0"], memory, now)
            assert (decision.kept, decision.starved) == ([], False)
    assert ask(table, pod(cpu="500m"), ["n0"], memory, LATER).kept is None
    assert ask(table, pod("small", "400m"), ["n0"], memory).kept == []
    assert ask(table, pod("small", "400m"), ["n0"], memory, NOW + 30_000).kept is None


def test_only_the_room_that_was_there_is_yielded() -> None:
    """Of two nodes, the one that the pod would have had."""
    table, memory = plan(locks={"n0": made(400, 600, 600), "n1": lock(500, 500)}), Memory()
    assert ask(table, pod(), ["n0", "n1"], memory).kept == []
    decision = ask(table, pod(), ["n0", "n1"], memory, NOW + 30_000)
    assert decision.result is Result.YIELDED
    assert decision.kept == ["n1"]
    assert decision.shown == decision.at_risk == ("n1",)


def test_a_table_that_is_behind_keeps_nobody_for_long() -> None:
    """Where the scheduler sees more room than the plan makes, others have left since."""
    table, memory = plan(locks={"n0": made(100, 300, 400)}), Memory()
    assert ask(table, pod(), ["n0"], memory).kept == []
    assert ask(table, pod(), ["n0"], memory, NOW + 30_000).kept is None


def test_locks_end_one_by_one() -> None:
    """A lock past its deadline holds nobody; the view says when it changes."""
    table = plan(locks={"n0": lock(0, 0, NOW + 1000), "n1": lock(0, 0, NOW + 2000)})
    assert View(table, NOW).until == NOW + 1000
    assert set(ask(table, pod(), now=NOW + 1000).rejected) == {"n1"}
    assert View(table, NOW + 1000).until == NOW + 2000
    assert View(table, NOW + 2000).until == LATER
    assert View(table, LATER).until > LATER


def test_exempt_namespaces_are_left_alone() -> None:
    """A paused namespace sees all nodes; the plan is told of the risk."""
    table = plan(locks={"n0": lock(0, 0)}, members={"m": Member("n1", LATER)}, exempt={"quiet"})
    table = msgspec.structs.replace(table, exempt=frozenset({"quiet"}))
    assert ask(table, pod("m", namespace="quiet")).kept is None
    assert ask(table, pod("x", namespace="quiet")).at_risk == ("n0",)


def test_unreadable_requests_are_said() -> None:
    """The caller decides; the front end then lets the pod pass."""
    with pytest.raises(FormatError, match="quantity"):
        ask(plan(locks={"n0": lock(0, 0)}), pod(cpu="many"))


def test_memory_is_bounded_and_forgets() -> None:
    """What is not asked about again goes, and no table grows beyond its bound."""
    table = plan(locks={"n0": lock(0, 0)})
    memory = Memory()
    view = View(table, NOW)
    for number in range(6000):
        who = pod(f"u{number}", priority=9)
        memory.note(who, decide(view, memory, who, ["n0"], NOW, RULES), NOW)
    assert len(memory._shown) == len(memory._on["n0"]) == 5000
    memory.tidy(NOW + IDLE)
    assert not memory._shown
    assert not memory._on


def preempt(table: PlanTable, who: Pod, rules: Rules = RULES, now: int = NOW) -> list[str]:
    """The candidates that are left."""
    memory = Memory()
    decision = veto(View(table, now), memory, who, {name: {} for name in NODES}, now, rules)
    return NODES if decision.kept is None else decision.kept


def test_preemption_passes_without_a_plan() -> None:
    """Nothing is vetoed."""
    assert preempt(EMPTY, pod()) == NODES


def test_preemption_keeps_off_what_a_plan_needs() -> None:
    """Members do not preempt, others not on locked nodes, higher priorities everywhere."""
    table = plan(members={"m": Member("n9", LATER)}, locks={"n1": lock(0, 0)})
    assert preempt(table, pod("m")) == []
    assert preempt(table, pod()) == ["n0", "n2", "n3"]
    assert preempt(table, pod(priority=6)) == NODES
    assert preempt(table, pod(), Rules(preempt=Preempt.ALL)) == []
    assert preempt(table, pod("m"), Rules(preempt=Preempt.OFF)) == NODES
    assert preempt(table, pod(), now=LATER) == NODES


def test_a_veto_does_not_last() -> None:
    """A pod that locks leave without a candidate may preempt after max_hold."""
    table, memory = plan(locks={name: lock(0, 0) for name in NODES}), Memory()
    for now, kept in ((NOW, []), (NOW + 29_999, []), (NOW + 30_000, None)):
        victims = {name: {} for name in NODES}
        decision = veto(View(table, now), memory, pod(), victims, now, RULES)
        memory.note(pod(), decision, now)
        assert decision.kept == kept


names = st.sampled_from([f"n{i}" for i in range(6)])
uids = st.sampled_from([f"u{i}" for i in range(5)])
tables = st.builds(
    lambda members, tokens, locks, priority: plan(
        members={uid: Member(node, end, open=is_open) for uid, node, end, is_open in members},
        tokens=tuple(token(f"t{i}", node) for i, node in enumerate(tokens)),
        locks={node: lock(free, kept, end) for node, free, kept, end in locks},
        priority=priority,
    ),
    st.lists(st.tuples(uids, names, st.sampled_from([NOW, LATER]), st.booleans()), max_size=4),
    st.lists(names, max_size=3),
    st.lists(
        st.tuples(
            names, st.integers(0, 2000), st.integers(0, 2000), st.sampled_from([NOW + 5000, LATER])
        ),
        max_size=6,
    ),
    st.integers(0, 3),
)
calls = st.lists(
    st.tuples(
        uids,
        st.lists(names, unique=True, max_size=6),
        st.integers(0, 1500),
        st.integers(0, 4),
        st.integers(0, 40_000),
        st.sampled_from(["", "rs"]),
    ),
    max_size=12,
)


@given(tables, calls)
def test_every_history_keeps_the_promises(table: PlanTable, calls: list[Any]) -> None:
    """Whatever is asked in whatever order: a partition, idempotent, and nobody starves for ever.

    Members and takers of tokens apart, who hold their own deadlines, a pod that was left without a
    node for max_hold gets all nodes, and higher priorities always do.
    """
    memory, now = Memory(), NOW
    starved: dict[str, int] = {}
    for uid, offered, cpu, priority, pause, owner in calls:
        now += pause
        who = pod(uid, f"{cpu}m", priority, owner)
        decision = ask(table, who, offered, memory, now)
        mine = uid in table.members or bool(decision.token)
        if mine and not decision.released:
            continue
        if priority > table.priority:
            assert decision.kept is None
        if decision.kept == [] and offered:
            since = starved.setdefault(uid, now)
            assert now - since < RULES.max_hold
        else:
            starved.pop(uid, None)
