"""Episodes of migrations as policies see them."""

from __future__ import annotations

import numpy as np
import pytest

from optsched.generate.vm import snapshot
from optsched.kernels import migration as kernel
from optsched.kernels.jit import plain
from optsched.simulate.migration import start
from optsched.simulate.walks import Walk


@pytest.mark.parametrize("number_of", [kernel.distinct, plain(kernel.distinct)])
def test_equal_rows_get_one_number(number_of: object) -> None:
    """Rows are numbered by their first appearance; marks keep equal rows apart."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        table = rng.integers(0, 3, (60, 4)).astype(np.float32) / 2
        mark = rng.random(60) < 0.3
        number, first = np.empty(60, np.int64), np.empty(60, np.int64)
        many = number_of(table, mark, number, first)  # type: ignore[operator]
        seen: dict[bytes, int] = {}
        expected = [
            seen.setdefault(row.tobytes() + bytes([one]), len(seen))
            for row, one in zip(table, mark.tolist(), strict=True)
        ]
        assert number.tolist() == expected
        assert many == len(seen)
        assert first[:many].tolist() == [expected.index(n) for n in range(many)]


def test_every_allowed_action_is_equal_to_one_choice() -> None:
    """Choices stand for the allowed actions and no others, each as often as it says."""
    walk, rng = Walk(start(snapshot(1, pms=12), 6)), np.random.default_rng(0)
    while not walk.over:
        look = walk.look()
        assert ((look.alike >= 0) == walk.mask).all()
        times = np.bincount(look.alike[look.alike >= 0], minlength=len(look.choices))
        assert np.allclose(np.log(times), look.choices_log)
        assert walk.mask[look.choices].all()
        assert np.isclose(np.exp(look.cells_log).sum(), walk.begun.cells)
        many = walk.begun.groups
        for action in np.flatnonzero(walk.mask[:-1]).tolist():
            choice = int(look.alike[action])
            if look.at is None:
                assert (look.groups[choice] == walk.groups[action]).all()
            else:
                assert (look.cells[look.at[choice]] == walk.cells[action - many]).all()
        walk.step(int(rng.choice(np.flatnonzero(walk.mask[:-1]))))


def test_refused_actions_are_told() -> None:
    """What the mask forbids raises and changes nothing; a walk can begin anew."""
    walk = Walk(start(snapshot(1, pms=4), 3))
    begun = walk.row.copy()
    with pytest.raises(ValueError, match="not allowed"):
        walk.step(walk.begun.groups)
    assert (walk.row == begun).all()
    walk.step(int(np.flatnonzero(walk.mask)[0]))
    walk.step(int(np.flatnonzero(walk.mask)[0]))
    assert len(walk.plan().moves()) == 1
    assert not walk.plan(0).moves()
    walk.reset()
    assert (walk.row == begun).all()
