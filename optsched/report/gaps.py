"""A picture of gaps: a row of dots per arm, one for every instance, and the mean as a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDE, ROW, LEFT, TOP = 640, 34, 210, 24


def svg(gaps: Mapping[str, Sequence[float]]) -> str:
    """The picture; gaps are shares, 0 is proven optimal."""
    most = max((max(values, default=0.0) for values in gaps.values()), default=0.0) or 0.01
    scale = (WIDE - LEFT - 30) / most
    high = TOP + ROW * len(gaps) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {high}" '
        f'width="{WIDE}" height="{high}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDE}" height="{high}" fill="white"/>',
    ]
    for step in range(5):
        x, share = LEFT + scale * most * step / 4, most * step / 4
        parts.append(f'<path d="M{x:.1f} {TOP}V{high - 26}" stroke="#ddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{high - 10}" text-anchor="middle">{share:.1%}</text>')
    for at, (name, values) in enumerate(gaps.items()):
        y = TOP + ROW * at + ROW / 2
        parts.append(
            f'<text x="{LEFT - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>'
        )
        for value in values:
            parts.append(
                f'<circle cx="{LEFT + scale * value:.1f}" cy="{y:.1f}" r="4" fill="#3b6ea5" '
                'fill-opacity="0.45"/>'
            )
        if values:
            mean = LEFT + scale * sum(values) / len(values)
            parts.append(
                f'<path d="M{mean:.1f} {y - 10:.1f}v20" stroke="#c0392b" stroke-width="3"/>'
            )
    return "".join([*parts, "</svg>"])
