"""Hosts as stacked bars before and after, as inline SVG."""

from __future__ import annotations

import numpy as np

from optsched.problem import PlacementProblem

from .distribution import distribution
from .markup import Html, join, tag
from .units import amount, percent, plural, resource_words, short
from .usage import Usage

MOST_HOSTS = 150  # more bars than this are not read; changed hosts are shown then, else full ones
WIDTH = 1000  # of a bar in user units; the page stretches it
LEGEND = (
    ("fixed", "not ours to place"),
    ("stay", "stays"),
    ("leave", "leaves"),
    ("arrive", "arrives from another host"),
    ("placed", "was pending"),
)


def hosts_part(problem: PlacementProblem, use: Usage) -> Html:
    """The bars of all hosts, or of those that change most, with the distribution of all."""
    count = len(problem.hosts)
    shown = np.arange(count)
    said = ""
    if count > MOST_HOSTS:
        shown = np.flatnonzero(use.changed)
        said = f"{plural(len(shown), 'host')} of {count:,} change."
        if len(shown) > MOST_HOSTS:
            shown = shown[np.argsort(-use.count[shown, 1:].sum(axis=1), kind="stable")][:MOST_HOSTS]
            shown.sort()
            said += f" The {MOST_HOSTS} with the most changes are drawn."
        elif not len(shown):
            full = (use.before() / np.maximum(use.capacity, 1)).max(axis=1, initial=0)
            shown = np.sort(np.argsort(-full, kind="stable")[:MOST_HOSTS])
            said += f" The {MOST_HOSTS} fullest are drawn."
    legend = join(tag("span", tag("i", class_=f"key {kind}"), text) for kind, text in LEGEND)
    return join(
        (
            distribution(use) if count > 1 else "",
            tag("p", said, class_="quiet") if said else "",
            tag("p", legend, class_="legend") if len(shown) else "",
            tag("div", join(_host(problem, use, int(h)) for h in shown), class_="hosts"),
        )
    )


def _host(problem: PlacementProblem, use: Usage, host: int) -> Html:
    stay, leave, arrive, placed = use.count[host].tolist()
    change = [
        text
        for number, text in (
            (leave, f"−{leave}"),
            (arrive, f"+{arrive} moved here"),
            (placed, f"+{placed} was pending"),
        )
        if number
    ]
    drained = " · to be emptied" if problem.hosts.drain[host] else ""
    return tag(
        "div",
        tag(
            "div",
            tag("b", short(problem.hosts.names[host])),
            tag("small", f"{plural(stay + leave, 'item')}{drained} ", tag("em", ", ".join(change))),
            class_="host-name",
        ),
        *(_bars(use, host, k) for k in range(len(use.names))),
        class_="host changed" if use.changed[host] else "host",
    )


def _bars(use: Usage, host: int, k: int) -> Html:
    """One resource of one host: the upper bar is before, the lower one after."""
    name, capacity = use.names[k], int(use.capacity[host, k])
    if not capacity and not use.before()[host, k]:
        return tag("div", class_="bars")
    before, after = int(use.before()[host, k]), int(use.after()[host, k])
    scale = WIDTH / max(capacity, before, after, 1)
    parts = {kind: int(getattr(use, kind)[host, k]) for kind, _ in LEGEND}
    rows = (
        _stack(name, [(kind, parts[kind]) for kind in ("fixed", "stay", "leave")], scale, 0),
        _stack(
            name, [(kind, parts[kind]) for kind in ("fixed", "stay", "arrive", "placed")], scale, 12
        ),
    )
    limit = f"{capacity * scale:.1f}"
    over = max(before, after) > capacity
    edge = tag("line", x1=limit, x2=limit, y1=0, y2=22, class_="over") if over else ""
    was, will, room = (amount(name, value) for value in (before, after, capacity))
    label = f"{resource_words(name)}: {was} before, {will} after, of {room}"
    share = after / max(capacity, 1)
    return tag(
        "div",
        tag("small", resource_words(name), tag("span", percent(share))),
        tag(
            "svg",
            tag("title", label),
            tag("rect", class_="room", x=0, y=0, width=limit, height=10),
            tag("rect", class_="room", x=0, y=12, width=limit, height=10),
            *rows,
            edge,
            viewBox=f"0 0 {WIDTH} 22",
            preserveAspectRatio="none",
            role="img",
            aria_label=label,
        ),
        class_="bars",
    )


def _stack(name: str, parts: list[tuple[str, int]], scale: float, y: int) -> Html:
    words = dict(LEGEND)
    rects, x = [], 0.0
    for kind, value in parts:
        if value:
            title = tag("title", f"{words[kind]}: {amount(name, value)} {resource_words(name)}")
            rects.append(
                tag(
                    "rect",
                    title,
                    class_=kind,
                    x=f"{x:.1f}",
                    y=y,
                    width=f"{value * scale:.1f}",
                    height=10,
                )
            )
            x += value * scale
    return join(rects)
