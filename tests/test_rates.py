"""Fragment rates: names, shares, weights and goals, worked by hand."""

from __future__ import annotations

import pytest

from optsched.errors import ProblemError
from optsched.levels import Level, Term, TermKind, drain_first
from optsched.objective import evaluate
from optsched.plan import Placement
from optsched.problem import Cells, Hosts, Items, PlacementProblem
from optsched.rates import rates, share, with_goal, with_objective

FR16 = Level("fragments", (Term(TermKind.FRAGMENTS, size=16),))


def machines(*cores: int) -> PlacementProblem:
    """Two machines of 2 x 44 cores; VMs of so many cores alone on the nodes from the first on."""
    count = len(cores)
    return PlacementProblem.of(
        Hosts.of([[], []]),
        Items.of(
            [[]] * count,
            cells_needed=1,
            cell_demand=[[one, one * 2048] for one in cores],
            host0=[at // 2 for at in range(count)],
            cells0=[[at] for at in range(count)],
        ),
        cells=Cells.of([0, 0, 1, 1], [[44, 184_388]] * 4, resources=("cores", "memory_mib")),
        objective=(FR16,),
    )


def rate(problem: PlacementProblem) -> dict[str, tuple[int, int, int]]:
    """Name: free, wasted, blocks; now."""
    found = rates(problem, Placement.current(problem))
    return {one.name: (one.free, one.wasted, one.blocks) for one in found}


def test_an_empty_machine_wastes_24_of_88_cores() -> None:
    """44 mod 16 is 12 on each NUMA node."""
    empty = machines()
    (found,) = rates(empty, Placement.current(empty))
    assert found.share == 48 / 176
    assert found.blocks == 8


def test_sizes_beyond_a_node_take_two() -> None:
    """A 64-core VM takes 32 of both nodes, a 32-core VM fits on one; both ways can be asked for."""
    one = with_objective(machines(14, 0, 44, 20), "fr64,fr32,fr32x2,mem64,mem256")
    # Free cores 30 and 44, 0 and 24; free memory 155716 and 184388, 94276 and 143428 MiB.
    assert rate(one) == {
        "FR64": (98, 98, 0),
        "FR32": (98, 66, 1),
        "FR32x2": (98, 66, 1),
        "MEM64": (577_808, 577_808 - 7 * 65_536, 7),
        "MEM256": (577_808, 577_808 - 262_144, 1),
    }


def test_one_rate_has_the_weight_one() -> None:
    """Weights of one resource are reduced; order and levels before and after stay."""
    plain = machines(14)
    assert with_objective(plain, "fr16").objective == (FR16,)
    two = with_objective(plain, "fr16:1.5, fr64:0.5").objective[0].terms
    assert [(term.weight, term.size, term.cells) for term in two] == [(3, 16, 1), (1, 32, 2)]
    drained = plain.replace(objective=drain_first(plain.objective))
    names = [level.name for level in with_objective(drained, "fr64").objective]
    assert names == ["drained", "fragments"]


def test_rates_of_several_resources_weigh_as_shares() -> None:
    """The weighted sum is the weighted sum of the rates, up to rounding of the weights."""
    one = with_objective(machines(14, 3, 41), "fr16:2,mem64")
    level = one.objective[0]
    value = evaluate(one, Placement.current(one))[0]
    found = {r.name: r.share for r in rates(one, Placement.current(one))}
    mean = (2 * found["FR16"] + found["MEM64"]) / 3
    assert share(one, level, value) == pytest.approx(mean, rel=0.005)
    assert 1 < min(term.weight for term in level.terms) <= 100


def test_a_goal_is_a_number_of_fragments_and_then_the_fewest_moves() -> None:
    """FR16 of at most 0.35 of 162 free cores: 56 fragments."""
    plain = machines(14)  # 30 + 44 + 44 + 44 free, 14 + 12 + 12 + 12 wasted
    goal = with_goal(plain, 0.35)
    assert [level.goal for level in goal.objective] == [56, 0]
    assert goal.objective[1].terms == (Term(TermKind.MOVED),)
    assert evaluate(goal, Placement.current(goal)) == (0, 0)
    strict = with_goal(plain, 0.3)
    assert evaluate(strict, Placement.current(strict)) == (50 - 48, 0)
    again = with_goal(goal, 0.1)
    assert [level.goal for level in again.objective] == [16, 0]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "names no rate"),
        ("fr", "not understood"),
        ("fr0", "not understood"),
        ("cpu16", "'cpu16' is not understood"),
        ("fr16:0", "weight must be above 0"),
        ("fr17x2", "no halves"),
    ],
)
def test_unknown_objectives_are_refused(spec: str, words: str) -> None:
    """With what may be written."""
    with pytest.raises(ProblemError, match=words):
        with_objective(machines(), spec)


def test_rates_need_cells_that_have_the_resource() -> None:
    """A cluster without cells has no cores to count, and a goal needs a rate."""
    plain = PlacementProblem.of(Hosts.of([[4]]), Items.of([[1]]))
    with pytest.raises(ProblemError, match="have no cores"):
        with_objective(plain, "fr16")
    with pytest.raises(ProblemError, match="counts no fragments"):
        with_goal(plain, 0.3)
    with pytest.raises(ProblemError, match="between 0 and 1"):
        with_goal(machines(), 35.0)
