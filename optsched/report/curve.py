"""Fragments against the limit of moves: rows, a plot as SVG, and a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optsched.levels import Level
from optsched.problem import PlacementProblem
from optsched.rates import fragment_level, name_of, share, terms

from .markup import Column, Html, join, section, table, tag
from .page import document
from .units import percent, plural, short

WIDTH, HEIGHT, LEFT, BASE, TOP, RIGHT = 640, 300, 56, 260, 16, 620  # user units
COLORS = {"plan": "#2f9e62", "least": "#8b68c4", "line": "#9aa3b0"}


@dataclass(frozen=True)
class Point:
    """One limit of moves.

    Attributes
    ----------
    moves
        The limit.
    rate, least
        What the plan reaches, and what no plan can better.
    gap
        Share of the attainable improvement that is not taken.
    looked
        Whether there was time to look for a plan; if not, that of a lower limit stands.
    """

    moves: int
    rate: float
    least: float
    gap: float
    looked: bool = True

    @property
    def proven(self) -> bool:
        """Whether the plan is as good as any."""
        return self.rate <= self.least


def points(
    problem: PlacementProblem, rows: Sequence[tuple[int, int, int, bool]], stay: int
) -> list[Point]:
    """Rates for rows of (limit of moves, value, bound, looked for) of the level of fragments."""
    level = counted(problem)
    return [
        Point(
            int(moves),
            share(problem, level, int(value)),
            share(problem, level, int(bound)),
            max(0.0, (int(value) - int(bound)) / (stay - int(bound))) if stay > bound else 0.0,
            looked,
        )
        for moves, value, bound, looked in rows
    ]


def counted(problem: PlacementProblem) -> Level:
    """The level that a curve is about; the problem has one."""
    at = fragment_level(problem)
    assert at is not None
    return problem.objective[at]


def rate_words(problem: PlacementProblem) -> str:
    """What is on the vertical axis: one rate, or the mean of several."""
    names = [name_of(problem, term) for term in terms(problem)]
    return names[0] if len(names) == 1 else f"weighted mean of {', '.join(names)}"


def svg(problem: PlacementProblem, found: Sequence[Point], *, alone: bool = False) -> Html:
    """The plot; `alone` makes it a file of its own."""
    most = max((one.moves for one in found), default=0) or 1
    high = max((one.rate for one in found), default=0.0) or 1.0

    def at(moves: int, rate: float) -> tuple[float, float]:
        x = LEFT + (RIGHT - LEFT) * moves / most
        return round(x, 1), round(BASE - (BASE - TOP) * rate / high, 1)

    def line(kind: str, values: Sequence[tuple[int, float]], dash: str | None) -> Html:
        text = " ".join(f"{x},{y}" for x, y in (at(*one) for one in values))
        return tag(
            "polyline",
            points=text,
            fill="none",
            stroke=COLORS[kind],
            stroke_width=2,
            stroke_dasharray=dash,
        )

    marks = [
        tag(
            "circle",
            tag("title", f"{plural(one.moves, 'move')}: {one.rate:.4f}, least {one.least:.4f}"),
            cx=at(one.moves, one.rate)[0],
            cy=at(one.moves, one.rate)[1],
            r=3,
            fill=COLORS["plan"],
        )
        for one in found
    ]
    return tag(
        "svg",
        tag("title", f"{short(rate_words(problem))} against the limit of moves"),
        *_axes(most, high),
        line("least", [(one.moves, one.least) for one in found], "5 4"),
        line("plan", [(one.moves, one.rate) for one in found], None),
        *marks,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        xmlns="http://www.w3.org/2000/svg" if alone else None,
        width=WIDTH if alone else None,
        font_family="sans-serif" if alone else None,
    )


def _axes(most: int, high: float) -> list[Html]:
    style = {"font_size": 12, "fill": "currentColor"}
    parts = [
        tag("line", x1=LEFT, x2=RIGHT, y1=BASE, y2=BASE, stroke=COLORS["line"]),
        tag("line", x1=LEFT, x2=LEFT, y1=TOP, y2=BASE, stroke=COLORS["line"]),
        tag("text", "moves", x=(LEFT + RIGHT) / 2, y=BASE + 34, text_anchor="middle", **style),
    ]
    for step in range(5):
        y = BASE - (BASE - TOP) * step / 4
        label = f"{high * step / 4:.3f}"
        parts.append(tag("text", label, x=LEFT - 6, y=y + 4, text_anchor="end", **style))
        x = LEFT + (RIGHT - LEFT) * step / 4
        moves = f"{most * step / 4:g}"
        parts.append(tag("text", moves, x=x, y=BASE + 18, text_anchor="middle", **style))
    return parts


def curve_page(problem: PlacementProblem, found: Sequence[Point], note: str) -> str:
    """The plot and its table as one self-contained HTML page."""
    rows = [
        (one.moves, f"{one.rate:.4f}", f"{one.least:.4f}", percent(one.gap), proof(one))
        for one in found
    ]
    columns = (
        Column("moves", number=True),
        Column(short(rate_words(problem)), number=True),
        Column("least possible", number=True),
        Column("gap", number=True),
        Column("proof"),
    )
    name = short(problem.name)
    said = f"{plural(len(problem.hosts), 'host')}, {plural(len(problem.items), 'item')}. {note}"
    body = (
        tag("header", tag("p", "optsched curve", class_="quiet"), tag("h1", name), tag("p", said)),
        section(
            f"{short(rate_words(problem))} against moves",
            tag("figure", svg(problem, found)),
            tag("p", "Line: the plan. Dashed: what no plan can better.", class_="quiet"),
            table(columns, rows),
            id_="curve",
        ),
    )
    return document(name, join(body))


def proof(one: Point) -> str:
    """Whether a point is proven, in a few words."""
    if one.proven:
        return "proven"
    return "open" if one.looked else "open: time was up"
