"""How many hosts are how full, before and after a plan: one small SVG chart per resource."""

from __future__ import annotations

import numpy as np

from optsched.arrays import Ints

from .markup import Html, tag
from .units import percent, plural, resource_words
from .usage import Usage

BINS = 10  # tenths of the capacity, and one more bin for what is over it
STEP, TOP, FLOOR = 30, 4, 60  # user units: width of a bin, upper edge and base of the bars
SERIES = (("stay", "before", 2), ("placed", "after", 15))


def distribution(use: Usage) -> Html:
    """The charts side by side."""
    charts = [_chart(use, k) for k in range(len(use.names)) if use.capacity[:, k].any()]
    return tag("div", *charts, class_="charts")


def _chart(use: Usage, k: int) -> Html:
    has = use.capacity[:, k] > 0
    used = (use.before()[:, k], use.after()[:, k])
    counts = [_bins(table[has], use.capacity[has, k]) for table in used]
    total = int(use.capacity[:, k].sum())
    shares = [percent(int(table.sum()) / total) for table in used]
    tallest = max(int(column.max()) for column in counts)
    bars = [
        _bar(
            kind, f"{_bin_words(b)}: {plural(int(column[b]), 'host')} {when}", b, x, column, tallest
        )
        for (kind, when, x), column in zip(SERIES, counts, strict=True)
        for b in np.flatnonzero(column).tolist()
    ]
    axis = [tag("text", f"{10 * b} %", x=STEP * b, y=FLOOR + 14) for b in (0, 5, 10)]
    width = STEP * (BINS + 1) + 14
    return tag(
        "figure",
        tag(
            "svg",
            tag(
                "title",
                f"{resource_words(use.names[k])}: {shares[0]} in use before, {shares[1]} after",
            ),
            tag("line", x1=0, x2=width, y1=FLOOR + 0.5, y2=FLOOR + 0.5, class_="axis"),
            *bars,
            *axis,
            viewBox=f"0 0 {width} {FLOOR + 18}",
            role="img",
        ),
        tag(
            "figcaption",
            tag("b", resource_words(use.names[k])),
            f" {shares[0]} in use before, {shares[1]} after; hosts by how full they are ",
            *(tag("span", f" {when}", class_=f"{kind}-text") for kind, when, _ in SERIES),
        ),
    )


def _bar(kind: str, title: str, b: int, x: int, column: Ints, tallest: int) -> Html:
    height = max(1.0, (FLOOR - TOP) * int(column[b]) / tallest)
    return tag(
        "rect",
        tag("title", title),
        class_=kind,
        x=STEP * b + x,
        y=f"{FLOOR - height:.1f}",
        width=12,
        height=f"{height:.1f}",
    )


def _bin_words(b: int) -> str:
    return f"{10 * b} to {10 * b + 10} % full" if b < BINS else "over capacity"


def _bins(used: Ints, capacity: Ints) -> Ints:
    """(BINS + 1,) hosts per tenth of use; the last bin is over capacity."""
    tenth = np.where(used > capacity, BINS, np.minimum(used * BINS // capacity, BINS - 1))
    return np.bincount(tenth, minlength=BINS + 1)
