#!/usr/bin/env python3
"""Which nodes a pod may run on: optsched beside answers recorded from a real kube-scheduler.

    python benchmarks/feasibility/run.py DIR [--output json]

DIR holds files `<cluster>.json[.gz]` with `objects` (lists of Kubernetes objects by kind) and
`probes` (pending pods, each with the exact set of nodes that passed all in-tree filters). All
probes of a cluster become pending items of one problem; pending items do not see each other. The
exit status is 1 if any probe whose features are modelled gets another set of nodes.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import optsched
from optsched.errors import FormatError, OptschedError
from optsched.kube import Cluster, lower
from optsched.kube.nodes import Rule
from optsched.rules import candidates
from optsched.state import State


class Probe(msgspec.Struct):
    """A pending pod and the scheduler's answer."""

    pod: msgspec.Raw
    feasible: list[str]
    features: list[str]
    message: str = ""
    known_bug: str = ""


class Recording(msgspec.Struct):
    """One file."""

    objects: dict[str, list[msgspec.Raw]]
    probes: list[Probe]
    cluster: str = ""


@dataclass(frozen=True)
class Verdict:
    """What became of one probe.

    Attributes
    ----------
    outcome
        "agrees", "differs", "not modelled", or "known bug" where the recorded answer depends on an
        upstream bug and is not compared.
    wrongly_open, wrongly_closed
        Nodes that only we, or only the scheduler, let through.
    note
        The scheduler's message, or the bug.
    """

    cluster: str
    probe: str
    features: tuple[str, ...]
    outcome: str
    wrongly_open: tuple[str, ...] = ()
    wrongly_closed: tuple[str, ...] = ()
    note: str = ""


def judge(path: Path) -> list[Verdict]:
    """Compare every probe of a file.

    Raises
    ------
    FormatError
        The file is not in the format of a recording.
    """
    raw = path.read_bytes()
    try:
        data = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        recording = msgspec.json.decode(data, type=Recording)
    except (msgspec.MsgspecError, OSError, EOFError, zlib.error) as error:
        raise FormatError(f"{path.name}: this is no recording of probes: {error}") from error
    cluster = Cluster()
    for one in (raw for objects in recording.objects.values() for raw in objects):
        cluster.add(one)
    bound = len(cluster.pods)
    for probe in recording.probes:
        cluster.add(probe.pod)
    name = recording.cluster or path.name.split(".")[0]
    state = State(lower(cluster, name=name))
    items = {item: i for i, item in enumerate(state.problem.items.names)}
    verdicts = []
    for probe, pod in zip(recording.probes, cluster.pods[bound:], strict=True):
        item = items[f"{pod.metadata.namespace}/{pod.metadata.name}"]
        verdicts.append(_compare(state, name, item, probe))
    return verdicts


def _compare(state: State, cluster: str, item: int, probe: Probe) -> Verdict:
    where, hosts = state.problem.where, state.problem.hosts.names
    found = {hosts[h] for h in np.flatnonzero(candidates(state, item)).tolist()}
    expected = set(probe.feasible)
    excluded = where.excluded[where.item_eligible[item]]
    outcome = "agrees" if found == expected else "differs"
    if probe.known_bug:
        outcome = "known bug"
    elif excluded.size and (excluded >> np.uint32(Rule.UNMODELLED) & 1).all():
        outcome = "not modelled"
    return Verdict(
        cluster=cluster,
        probe=state.problem.items.names[item],
        features=tuple(probe.features),
        outcome=outcome,
        wrongly_open=tuple(sorted(found - expected)),
        wrongly_closed=tuple(sorted(expected - found)),
        note=probe.known_bug or probe.message,
    )


def summary(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Totals, agreement by feature, and every probe that is not plainly in agreement."""
    features = sorted({feature for verdict in verdicts for feature in verdict.features})
    others = [v for v in verdicts if v.outcome != "agrees"]
    return {
        "version": 1,
        "clusters": len({verdict.cluster for verdict in verdicts}),
        "total": _count(verdicts),
        "features": {f: _count(v for v in verdicts if f in v.features) for f in features},
        "not_in_agreement": [asdict(verdict) for verdict in others],
    }


def _count(verdicts: Iterable[Verdict]) -> dict[str, int]:
    outcomes = [verdict.outcome for verdict in verdicts]
    kinds = ("agrees", "differs", "not modelled", "known bug")
    return {"probes": len(outcomes), **{kind: outcomes.count(kind) for kind in kinds}}


def page(report: dict[str, Any]) -> str:
    """The report for people, as markdown."""
    columns = list(report["total"])
    lines = [
        "# Feasible nodes, beside a real kube-scheduler",
        "",
        f"- date: {datetime.now(UTC):%Y-%m-%d}",
        f"- optsched {optsched.__version__}, {report['clusters']} clusters",
        "",
        f"| feature | {' | '.join(columns)} |",
        f"|---|{'---:|' * len(columns)}",
    ]
    for name, row in (*report["features"].items(), ("**all probes**", report["total"])):
        lines.append(f"| {name} | {' | '.join(str(row[column]) for column in columns)} |")
    lines += ["", "Not in agreement:" if report["not_in_agreement"] else "All agree.", ""]
    for one in report["not_in_agreement"]:
        lines.append(f"- {one['outcome']}: {one['cluster']} {one['probe']}: {one['note']}")
        for what in ("wrongly_open", "wrongly_closed"):
            if one["outcome"] == "differs" and one[what]:
                lines.append(f"  - {what.replace('_', ' ')}: {', '.join(one[what])}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run over a folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dir", type=Path, metavar="DIR", help="folder of recordings")
    parser.add_argument("--output", choices=("text", "json"), default="text")
    options = parser.parse_args(arguments)
    paths = sorted((*options.dir.glob("*.json"), *options.dir.glob("*.json.gz")))
    if not paths:
        print(f"{options.dir}: no recordings (*.json, *.json.gz) here", file=sys.stderr)
        return 2
    try:
        report = summary([verdict for path in paths for verdict in judge(path)])
    except OptschedError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(report, indent=1) if options.output == "json" else page(report))
    return 1 if report["total"]["differs"] else 0


if __name__ == "__main__":
    sys.exit(main())
