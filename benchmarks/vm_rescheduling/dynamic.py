"""A late plan: the fragment rate that remains when a plan is applied t seconds after the snapshot.

    python -m benchmarks.vm_rescheduling.dynamic --table benchmarks/results/vm_rescheduling_late.md

t is what each method needed to solve that snapshot, and beside it some fixed delays; under five
minutes alone, nearly all of them for the per-VM model. Meanwhile VMs leave and others of the same
mix arrive, as two Poisson processes; all methods see the same ones. A move whose VM has left, or
whose target has no room any more, is skipped, as in the published setting.

Neither the rates nor how arrivals are placed is published. Arrivals take any place with room (with
best fit the fragment rate would fall on its own, which the published one does not). The published
curve falls from a rate of .522 to .316 with plans up to 5 s old, to .323 at 7 s, .330 at 20 s, .362
at 1 min, .475 at 5 min and .517 at 10 min (read from a figure): 78 % of the gain is left after a
minute, 23 % after five. The default churn, as many departures as arrivals, is fitted to that curve:
1.5 % of the VMs a minute each way, some 30 a minute. (The only published counts, the Huawei-East-1
trace's 125,430 creations and 116,313 deletions in 30 days, are 2.9 and 2.7 a minute, without the
size of the region.)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, median

import numpy as np

from benchmarks import machine
from benchmarks.markdown import markdown
from benchmarks.vm_rescheduling.arms import OWN_ORDER, PER_VM, SIZE, run
from benchmarks.vm_rescheduling.instances import draw
from optsched import kernels
from optsched.generate.vm import Room
from optsched.plan import Order, Plan
from optsched.problem import PlacementProblem

STAY = "no plan"
# Share of the gain that is left of the published method's plans, by their age in seconds.
PUBLISHED = {0: 1.0, 5: 1.0, 7: 0.97, 20: 0.93, 60: 0.78, 300: 0.23, 600: 0.02}


@dataclass(frozen=True)
class Churn:
    """VMs that leave and that arrive, in VMs a second."""

    departures: float
    arrivals: float

    @classmethod
    def of(cls, problem: PlacementProblem, departures: float, arrivals: float) -> Churn:
        """From shares of the snapshot's VMs a minute."""
        vms = len(problem.items) / 60
        return cls(departures * vms, arrivals * vms)


@dataclass
class Track:
    """What came of a method: per snapshot its seconds, and FR16 by age of the plan."""

    seconds: list[float] = field(default_factory=list)
    then: list[tuple[float, float, float]] = field(default_factory=list)  # at once, late, no plan
    fixed: list[list[float]] = field(default_factory=list)


def main() -> int:
    """Apply plans late and print what is left of them."""
    args = _arguments()
    kernels.warm()
    delays = [float(word) for word in args.delays.split(",")]
    arms = args.arms.split(",")
    tracks = {arm: Track() for arm in [STAY, *arms]}
    vms = []
    print(
        f"{args.kind}, {args.seeds} snapshots, MNL {args.moves}: {', '.join(arms)}; {PER_VM} at "
        f"most {args.per_vm_seconds:g} s, others {args.seconds:g} s each",
        file=sys.stderr,
        flush=True,
    )
    for seed, problem in draw(args.kind, range(args.seeds)):
        vms.append(len(problem.items))
        churn = Churn.of(problem, args.departures, args.arrivals)
        asked = problem.replace(max_moves=args.moves)
        plans = {STAY: (Plan(problem.digest(), Order.SAFE), 0.0)}
        for arm in arms:
            plans[arm] = _solve(arm, asked, args)
        _follow(tracks, problem, plans, delays, churn, max(seed, 0))
        spent = ", ".join(f"{arm} {plans[arm][1]:.3f} s" for arm in arms)
        print(f"snapshot {len(vms)} of {args.seeds}: {spent}", file=sys.stderr, flush=True)
    page = _page(args, tracks, delays, mean(vms))
    if args.table:
        args.table.write_text(page)
    print(page)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="dynamic", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--kind", default="medium")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--moves", type=int, default=50, help="MNL; default 50")
    parser.add_argument("--delays", default="0,1,5,7,20,60,300,600", help="fixed ones, in seconds")
    parser.add_argument(
        "--departures", type=float, default=0.015, help="share of the VMs a minute; default .015"
    )
    parser.add_argument("--arrivals", type=float, default=0.015, help="the same; default .015")
    parser.add_argument("--arms", default=f"ours,greedy,HA,random,{PER_VM}")
    parser.add_argument("--seconds", type=float, default=10.0, help="time limit; default 10")
    parser.add_argument(
        "--per-vm-seconds", type=float, default=60.0, help="limit of the per-VM model; default 60"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--table", type=Path, help="write the table here, as markdown")
    return parser.parse_args()


def _solve(arm: str, asked: PlacementProblem, args: argparse.Namespace) -> tuple[Plan, float]:
    """A plan and the seconds it took, imports and compilation not counted."""
    limit = args.per_vm_seconds if arm == PER_VM else args.seconds
    if arm != PER_VM:
        run(arm, asked, Order.SAFE, 1.0, args.workers, 0)
    answer = run(arm, asked, OWN_ORDER.get(arm, Order.SAFE), limit, args.workers, 0)
    return answer.plan, answer.seconds


def _follow(
    tracks: dict[str, Track],
    problem: PlacementProblem,
    plans: dict[str, tuple[Plan, float]],
    delays: Sequence[float],
    churn: Churn,
    seed: int,
) -> None:
    """Apply every plan at every delay, and at its own time."""
    times = sorted({0.0, *delays, *(seconds for _, seconds in plans.values())})
    rooms = dict(zip(times, later(problem, times, churn, seed), strict=True))
    for arm, (plan, seconds) in plans.items():
        track = tracks[arm]
        track.seconds.append(seconds)
        late = applied(rooms[seconds], plan)
        track.then.append((applied(rooms[0.0], plan), late, rate(rooms[seconds])))
        track.fixed.append([applied(rooms[delay], plan) for delay in delays])


def later(
    problem: PlacementProblem, times: Sequence[float], churn: Churn, seed: int
) -> Iterator[Room]:
    """The cluster at each of some times, ascending; what has happened by one stays happened."""
    rng = np.random.default_rng(seed)
    room = Room.of(problem.cells, len(problem.hosts))
    items = problem.items
    shapes = np.column_stack([items.cells_needed, items.cell_demand]).tolist()
    for shape, own in zip(shapes, items.cells0.tolist(), strict=True):
        room.add(tuple(shape), tuple(cell for cell in own if cell >= 0))
    alive = list(range(len(items)))
    both = churn.departures + churn.arrivals
    event = rng.exponential(1 / both) if both else np.inf
    for time in times:
        while event <= time:
            if rng.random() * both < churn.departures:
                if alive:
                    room.leave(alive.pop(int(rng.integers(len(alive)))))
            else:
                drawn = tuple(shapes[int(rng.integers(len(shapes)))])
                own = room.any_fit(drawn, rng)
                if own:
                    room.add(drawn, own)
                    alive.append(len(room.shapes) - 1)
            event += rng.exponential(1 / both)
        yield _copy(room)


def _copy(room: Room) -> Room:
    return replace(room, free=room.free.copy(), shapes=[*room.shapes], cells=[*room.cells])


def applied(room: Room, plan: Plan) -> float:
    """FR16 once what is left of the plan is carried out; the room stays as it is."""
    end = _copy(room)
    for move in plan.moves():
        _apply(end, move.item, move.cells)
    return rate(end)


def rate(room: Room) -> float:
    """FR16."""
    free = np.maximum(room.free[:, 0], 0)
    return float((free % SIZE).sum() / max(int(free.sum()), 1))


def _apply(room: Room, vm: int, target: tuple[int, ...]) -> None:
    """One move, if its VM is still there and there is room for it."""
    own = room.cells[vm]
    if not own:
        return
    demand = np.array(room.shapes[vm][1:])
    if (room.free[list(target)] >= demand).all():
        room.free[list(own)] += demand
        room.free[list(target)] -= demand
        room.cells[vm] = target


def _page(
    args: argparse.Namespace, tracks: dict[str, Track], delays: Sequence[float], vms: float
) -> str:
    def churn(share: float) -> str:
        return f"{share:.2%} of the VMs a minute, {share * vms / 60:.2f} a second, Poisson"

    settings = {
        "snapshots": f"{args.kind}, {args.seeds} seeds, {vms:.0f} VMs on average",
        "MNL": args.moves,
        "limits": f"{PER_VM} {args.per_vm_seconds:g} s, others {args.seconds:g} s",
        "departures": churn(args.departures),
        "arrivals": f"{churn(args.arrivals)}; each takes any place with room",
        "source of the rates": "not published; fitted to the published curve (last table)",
    }
    return "\n".join(
        [
            "# VM rescheduling: plans that come late\n",
            machine.header(**settings) + "\n",
            "Mean FR16. 'At once' is the plan on the snapshot it was made for, 'late' the plan "
            "applied t seconds after the snapshot with t the seconds that this method took for "
            "it, 'no plan' the cluster at that moment; 'left' is the share of the gain that the "
            "late plan still has.\n",
            markdown(_own_times(tracks)),
            "The same plans at fixed delays, mean FR16:\n",
            markdown(_fixed(tracks, delays)),
            "Share of the gain that is left, beside the published method's (read from a figure):\n",
            markdown(_left(tracks, delays)),
        ]
    )


def _own_times(tracks: dict[str, Track]) -> list[list[object]]:
    table: list[list[object]] = [
        ["method", "t: median s", "worst s", "no plan", "at once", "late", "left"]
    ]
    for arm, track in tracks.items():
        if arm != STAY:
            now, late, stay = (mean(column) for column in zip(*track.then, strict=True))
            at_once = mean(one[0] for one in tracks[STAY].then) - now
            table.append(
                [
                    arm,
                    *(f"{one:.3f}" for one in (median(track.seconds), max(track.seconds))),
                    *(f"{one:.4f}" for one in (stay, now, late)),
                    _percent(stay - late, at_once),
                ]
            )
    return table


def _means(track: Track) -> list[float]:
    return [mean(column) for column in zip(*track.fixed, strict=True)]


def _fixed(tracks: dict[str, Track], delays: Sequence[float]) -> list[list[object]]:
    return [
        ["method", *(f"t = {delay:g} s" for delay in delays)],
        *([arm, *(f"{one:.4f}" for one in _means(track))] for arm, track in tracks.items()),
    ]


def _left(tracks: dict[str, Track], delays: Sequence[float]) -> list[list[object]]:
    stay, start = _means(tracks[STAY]), mean(one[0] for one in tracks[STAY].then)
    known = [f"{PUBLISHED[delay]:.0%}" if delay in PUBLISHED else "" for delay in delays]
    table: list[list[object]] = [
        ["method", *(f"t = {delay:g} s" for delay in delays)],
        ["published", *known],
    ]
    for arm, track in tracks.items():
        if arm != STAY:
            whole = start - mean(one[0] for one in track.then)
            gains = zip(stay, _means(track), strict=True)
            table.append([arm, *(_percent(before - after, whole) for before, after in gains)])
    return table


def _percent(part: float, whole: float) -> str:
    """A share in words; nothing where there was no gain to keep."""
    return f"{part / whole:.0%}" if whole > 1e-9 else ""


if __name__ == "__main__":
    sys.exit(main())
