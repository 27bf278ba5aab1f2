"""Label selectors, node selectors and the index of pods."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from optsched.kube.selectors import (
    PodIndex,
    holds,
    in_words,
    matches,
    with_label_keys,
)
from optsched.kube.wire import LabelSelector, Requirement

KEYS, VALUES = ("app", "tier", "v"), ("a", "b", "c")

labels = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))
requirements = st.builds(
    Requirement,
    key=st.sampled_from(KEYS),
    operator=st.sampled_from(("In", "NotIn", "Exists", "DoesNotExist")),
    values=st.lists(st.sampled_from(VALUES), max_size=3),
)
selectors = st.none() | st.builds(
    LabelSelector, match_labels=labels, match_expressions=st.lists(requirements, max_size=2)
)


@pytest.mark.parametrize(
    ("operator", "value", "bound", "expected"),
    [
        ("Gt", "8", "7", True),
        ("Gt", "7", "007", False),
        ("Lt", "-1", "0", True),
        ("Gt", "8.5", "7", False),
        ("Gt", "", "7", False),
        ("Gt", "9", "99999999999999999999", False),
        ("Gt", " 9", "7", False),
        ("Gt", None, "7", False),
        ("Frobnicate", "1", "1", False),
    ],
)
def test_comparisons_need_integers(
    operator: str, value: str | None, bound: str, expected: bool
) -> None:
    """Gt and Lt hold only between two int64 numbers."""
    assert holds(Requirement("key", operator, [bound]), value) is expected


@given(
    pods=st.lists(st.tuples(st.sampled_from(("x", "y")), labels), max_size=8),
    selector=selectors,
    namespaces=st.none() | st.frozensets(st.sampled_from(("x", "y", "z"))),
)
def test_the_index_finds_what_a_scan_finds(
    pods: list[tuple[str, dict[str, str]]],
    selector: LabelSelector | None,
    namespaces: frozenset[str] | None,
) -> None:
    """Inverted lists are a short cut, never another answer."""
    index = PodIndex()
    for item, (namespace, own) in enumerate(pods):
        index.add(item, namespace, own, msgspec.msgpack.encode(own))
    scanned = [
        item
        for item, (namespace, own) in enumerate(pods)
        if (namespaces is None or namespace in namespaces) and matches(selector, own)
    ]
    assert np.array_equal(index.select(selector, namespaces), scanned)


def test_label_keys_are_merged_once() -> None:
    """A key that the pod lacks is ignored; one that is merged already changes nothing."""
    selector = LabelSelector({"app": "a"})
    merged = with_label_keys(selector, {"v": "1", "w": "2"}, ["v", "missing"], ["w"])
    assert in_words(merged) == "app=a,v in (1),w notin (2)"
    assert with_label_keys(merged, {"v": "1", "w": "2"}, ["v"], ["w"]) == merged
    assert with_label_keys(None, {"v": "1"}, ["v"]) is None


def test_words() -> None:
    """Selectors read as kubectl writes them, cut where they get long."""
    rows = [Requirement("x", "Exists"), Requirement("y", "DoesNotExist")]
    assert in_words(LabelSelector(None, rows)) == "x,!y"
    assert in_words(None) == "<none>"
    assert len(in_words(LabelSelector({f"key{i}": "v" for i in range(99)}))) == 120
