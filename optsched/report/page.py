"""The report as one self-contained HTML page: no network, no library, readable on a phone."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files

from optsched.plan import Plan
from optsched.problem import PlacementProblem
from optsched.result import LevelValue, Result

from .hosts import hosts_part
from .markup import Column, Html, esc, join, section, table, tag
from .summary import (
    MoveRow,
    Summary,
    certificate_words,
    level_rows,
    rate_rows,
    summarize,
    verdict,
)
from .units import plural
from .usage import usage

MOST_ROWS = 5000  # a browser sorts and filters so many at once


def page(problem: PlacementProblem, result: Result) -> str:
    """The report of an answer.

    Raises
    ------
    PlanError
        The plan is not for this problem.
    """
    told = summarize(problem, result.plan)
    body = (
        _header(told, verdict(told, result)),
        _rates(problem, result.plan, result.levels),
        _certificate(problem, result),
        *_about_plan(problem, result.plan, told),
        _notes((*problem.warnings, *result.notes)),
        _footer(f"{result.solver}, {result.seconds:.2f} s, plan for problem {result.plan.problem}"),
    )
    return document(told.name, join(body))


def plan_page(problem: PlacementProblem, plan: Plan) -> str:
    """The report of a plan without a certificate, or with an empty plan of a snapshot alone."""
    told = summarize(problem, plan)
    sentence = (
        f"{told.placed:,} of {plural(told.pending_before, 'pending item')} get a host, "
        f"{told.moved:,} moved, {told.evicted:,} evicted."
        if plan.waves
        else f"{plural(told.pending_before, 'item')} pending. No plan: this is the state as it is."
    )
    body = (
        _header(told, sentence),
        _rates(problem, plan),
        *_about_plan(problem, plan, told),
        _notes(problem.warnings),
        _footer(f"plan for problem {plan.problem}"),
    )
    return document(told.name, join(body))


def _header(told: Summary, sentence: str) -> Html:
    pending = [
        (f"{told.placed:,} / {told.pending_before:,}", "pending items placed", told.placed > 0),
        (f"{len(told.pending):,}", "without a host after", False),
    ]
    shares = [
        (f"{one.before.share:.3f} → {one.after.share:.3f}", one.after.name, bool(told.moves))
        for one in told.rates
    ]
    tiles = [
        *(shares if shares and not told.pending_before else pending),
        (f"{told.moved:,}", "moved", False),
        (f"{told.evicted:,}", "evicted", False),
        (str(told.waves), "waves", False),
    ]
    return tag(
        "header",
        tag("p", "optsched report", class_="quiet"),
        tag("h1", told.name),
        tag("p", sentence, class_="verdict"),
        tag("p", f"{plural(told.hosts, 'host')}, {plural(told.items, 'item')}", class_="quiet"),
        tag(
            "ul",
            *(
                tag("li", tag("b", number), tag("span", label), class_="good" if good else None)
                for number, label, good in tiles
            ),
            class_="tiles",
        ),
    )


def _rates(problem: PlacementProblem, plan: Plan, levels: Sequence[LevelValue] = ()) -> Html:
    rows = rate_rows(problem, plan, levels)
    if not rows:
        return Html("")
    titles = ("before", "after", "least possible", "blocks before", "blocks after", "free")
    return section(
        "Fragment rates",
        tag("p", "Shares of what is free that no block of the size can use.", class_="quiet"),
        table((Column("rate"), *(Column(title, number=True) for title in titles)), rows),
        id_="rates",
    )


def _certificate(problem: PlacementProblem, result: Result) -> Html:
    shown = [
        (*row[:5], tag("span", row[5], class_="ok" if row[5] == "proven" else "bad"), row[6])
        for row in level_rows(problem, result.levels)
    ]
    rest = len(result.levels) - len(shown)
    columns = (
        Column("level"),
        Column("value", number=True),
        Column("bound", number=True),
        Column("before", number=True),
        Column("gap", number=True),
        Column("proof"),
        Column("bound from", wide=True),
    )
    more = (
        tag("p", f"{plural(rest, 'more level')} at 0, which nothing can better.", class_="quiet")
        if rest
        else ""
    )
    badge = tag("span", result.status.value, class_=f"badge {result.status.value}")
    return section(
        "Certificate",
        tag("p", badge, " ", certificate_words(problem, result.certificate.text)),
        table(columns, shown) if shown else "",
        more,
        tag(
            "p",
            "The bound says that no placement which does as well on all earlier levels can be "
            "below it. The gap is the share of the attainable improvement that is not taken.",
            class_="quiet",
        ),
        id_="certificate",
    )


def _about_plan(problem: PlacementProblem, plan: Plan, told: Summary) -> tuple[Html, ...]:
    use = usage(problem, plan.placement(problem))
    return (
        _tiers(told),
        _pending(told),
        _waves(told, plan),
        _moves(told),
        section("Hosts before and after", hosts_part(problem, use), id_="hosts"),
    )


def _tiers(told: Summary) -> Html:
    titles = ("items", "pending", "placed now", "without a host after", "moved", "evicted")
    rows = [(t.tier, t.items, t.pending, t.placed, t.left, t.moved, t.evicted) for t in told.tiers]
    if not rows:
        return Html("")
    columns = (Column("tier"), *(Column(title, number=True) for title in titles))
    return section("By tier, highest first", table(columns, rows), id_="tiers")


def _pending(told: Summary) -> Html:
    if not told.pending:
        return section("Without a host", tag("p", "Every item has a host."), id_="pending")
    rows = [(row.item, row.tier, row.needs, row.why) for row in told.pending[:MOST_ROWS]]
    columns = (Column("item"), Column("tier"), Column("needs"), Column("why", wide=True))
    return section(
        "Without a host",
        tag("p", "Reasons in the room the plan leaves, moving nothing else.", class_="quiet"),
        table(columns, rows, class_="sortable"),
        _cut(len(told.pending)),
        id_="pending",
    )


def _waves(told: Summary, plan: Plan) -> Html:
    if not plan.waves:
        return Html("")
    kinds = ("place", "move", "cells", "evict")
    titles = ("pending placed", "moved", "other cells", "evicted")
    rows = []
    for number in range(1, told.waves + 1):
        own = [row for row in told.moves if row.wave == number]
        rows.append((number, *(sum(row.kind == kind for row in own) for kind in kinds)))
    return section(
        "Waves",
        tag(
            "p",
            f"Order: {plan.order.value}. The moves of a wave may run in any order and all at once; "
            "the next wave starts when they are done.",
        ),
        table((Column("wave", number=True), *(Column(t, number=True) for t in titles)), rows),
        id_="waves",
    )


def _moves(told: Summary) -> Html:
    if not told.moves:
        return section("Moves", tag("p", "Nothing moves."), id_="moves")
    columns = (
        Column("wave", number=True),
        Column("what"),
        Column("item"),
        Column("from"),
        Column("to"),
        Column("tier"),
        Column("owner"),
    )
    search = tag("input", type="search", placeholder="filter", aria_label="filter the moves")
    return section(
        "Moves",
        tag("p", search, " Click a heading to sort.", class_="quiet script"),
        table(columns, map(_move_row, told.moves[:MOST_ROWS]), class_="sortable"),
        _cut(len(told.moves)),
        id_="moves",
    )


def _move_row(row: MoveRow) -> tuple[object, ...]:
    kind = tag("span", row.kind, class_=f"kind {row.kind}")
    return (row.wave, kind, row.item, row.source or "–", row.target or "–", row.tier, row.owner)


def _cut(rows: int) -> Html:
    if rows <= MOST_ROWS:
        return Html("")
    return tag("p", f"The first {MOST_ROWS:,} of {rows:,} are shown.", class_="quiet")


def _notes(notes: tuple[str, ...]) -> Html:
    if not notes:
        return Html("")
    shown = tag("ul", *(tag("li", note[:2000]) for note in notes))
    return section("Warnings and notes", shown, id_="notes")


def _footer(text: str) -> Html:
    from optsched import __version__

    return tag("footer", tag("p", f"optsched {__version__} · {text}", class_="quiet"))


def document(title: str, body: Html) -> str:
    """A whole page: nothing is fetched, and only our script may run."""
    style, script = (
        files(__package__).joinpath(name).read_text("utf-8") for name in ("page.css", "page.js")
    )
    # Only this very script may run, and nothing may be fetched: names come from foreign files.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return (
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{esc(title)} · optsched</title>\n<style>{style}</style></head>\n"
        f"<body><main>{body}</main>\n<script>{script}</script></body></html>\n"
    )
