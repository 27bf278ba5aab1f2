"""EUA: base stations and users in Australian cities, as edge servers and a task of each user.

The path is "sites.csv,users.csv". Recorded are only places, in degrees; everything else is said by
settings: a user is in reach of the servers within `radius` metres (600; studies on these data draw
450 to 750), enters the network at the nearest of them and sends one task, `every` so many ms (10)
one more, in the order of the file. `first` takes only so many users. The task is that of
EdgeCloudSim's augmented reality (2,000 million instructions, 1,500 kB up, 25 kB down), due in
`deadline` ms (3,000) after it is sent; a server has 4 cores of 5,000 million instructions per
second and takes 75 W idle and 117 W busy. The air carries 6,250 bytes in a ms (50 Mbit/s), the
lines between sites and the core of the city 125,000 (1 Gbit/s) with 1 ms of latency.

Sites are owned by the Australian Communications and Media Authority, whose rules hold for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from optsched.arrays import Ints
from optsched.errors import FormatError
from optsched.tasks import Network, Nodes, TaskProblem, Tasks

from .csv_tables import Rows, number, table, titles

SITE = ("SITE_ID", "LATITUDE", "LONGITUDE")
USER = ("Latitude", "Longitude")
EARTH = 6_371_008.8  # mean radius in metres
SETTINGS = {"radius": 600, "every": 10, "deadline": 3000, "work": 2000, "first": 1 << 53}
UP, DOWN = 1_500_000, 25_000  # bytes
AIR, LINE = (6250, 2), (125_000, 1)  # bytes in a ms, ms of latency


def distance(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """(n, m) metres between points (n, 2) and (m, 2) of latitude and longitude in degrees.

    Haversine formula: R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68 (1984).
    """
    a, b = np.radians(one)[:, None, :], np.radians(two)[None, :, :]
    half = np.sin((b - a) / 2) ** 2
    chord = half[..., 0] + np.cos(a[..., 0]) * np.cos(b[..., 0]) * half[..., 1]
    return np.asarray(2 * EARTH * np.arcsin(np.sqrt(np.clip(chord, 0.0, 1.0))))


def places(rows: Rows, columns: tuple[str, str], what: str) -> np.ndarray:
    """(n, 2) latitude and longitude in degrees.

    Raises
    ------
    FormatError
        One is no number, or not on Earth.
    """
    found = np.empty((len(rows), 2))
    for k, row in enumerate(rows):
        by = f"{what} in line {k + 2}"
        for column, most in enumerate((90, 180)):
            found[k, column] = number(row, columns[column], by, -most)
            if found[k, column] > most:
                raise FormatError(f"{by}: {columns[column]} is above {most} degrees")
    return found


def problem_of(sites: Rows, users: Rows, name: str, wish: dict[str, int]) -> TaskProblem:
    """The tables; `wish` has a number for every name in `SETTINGS`.

    Raises
    ------
    InputError
        There are no sites or users, or a place is none.
    """
    if not sites or not users:
        raise FormatError("there are no sites or no users")
    there = places(sites, (SITE[1], SITE[2]), "the site")
    here = places(users[: wish["first"]], USER, "the user")
    apart = distance(here, there)
    near = apart <= wish["radius"]
    names = [row["SITE_ID"] for row in sites]
    count, arrival = len(here), np.arange(len(here), dtype=np.int64) * wish["every"]
    lost = int((~near.any(axis=1)).sum())
    tasks = Tasks.of(
        np.full(count, wish["work"]),
        len(names),
        names=[f"user-{k + 1}" for k in range(count)],
        source=1 + len(names) + apart.argmin(axis=1),
        arrival=arrival,
        input=UP,
        output=DOWN,
        deadline=arrival + wish["deadline"],
        eligible=near,
    )
    nodes = Nodes.of(
        [5000] * len(names),
        names=names,
        site=range(1, 1 + len(names)),
        cores=4,
        memory=4096,
        idle=75_000,
        busy=117_000,
    )
    return TaskProblem(
        _network(names),
        nodes,
        tasks,
        horizon=_horizon(arrival, wish),
        name=name,
        warnings=(f"{lost} of {count} users are in reach of no site; their tasks are rejected",)
        if lost
        else (),
    )


def _horizon(arrival: Ints, wish: dict[str, int]) -> int:
    return int(arrival[-1]) + max(10 * wish["deadline"], 10_000)


def _network(names: list[str]) -> Network:
    """Site 0 is the core; then one for each station, and the air around it."""
    count = len(names)
    stations, air = range(1, 1 + count), range(1 + count, 1 + 2 * count)
    return Network.of(
        ["core", *(f"station {one}" for one in names), *(f"users at {one}" for one in names)],
        [*((0, k) for k in stations), *zip(stations, air, strict=True)],
        latency=[LINE[1]] * count + [AIR[1]] * count,
        bandwidth=[LINE[0]] * count + [AIR[0]] * count,
    )


class EuaFormat:
    """Reads sites and users; see `optsched.formats.base.Format`."""

    name = "eua"
    describes = "sites and users of the EUA data sets, sites.csv,users.csv"
    takes = tuple(SETTINGS)

    def sniff(self, head: bytes, path: str) -> bool:
        """Whether the first of two tables has sites, or the one file is a table of sites."""
        if head:
            return head.startswith(",".join(SITE).encode())
        return {*SITE} <= {*titles(path.partition(",")[0])}

    def read(self, data: bytes, path: str, **options: Any) -> TaskProblem:
        """The problem of the two tables."""
        sites, _, users = path.partition(",")
        if not users:
            raise FormatError('these are sites; give "sites.csv,users.csv"')
        given = {key: str(value) for key, value in options.items()}
        least = {"first": 1, "work": 1}
        wish = SETTINGS | {k: int(number(given, k, "--set", least.get(k, 0))) for k in given}
        return problem_of(table(sites, SITE), table(users, USER), "eua", wish)
