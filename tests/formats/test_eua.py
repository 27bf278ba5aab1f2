"""Sites and users of the EUA data sets: distances by hand, reach, and the real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from optsched.api import read
from optsched.errors import InputError
from optsched.formats.eua import distance
from optsched.solvers.scheduling import RULES
from optsched.tasks import TaskProblem, evaluate

SITES = "SITE_ID,LATITUDE,LONGITUDE,NAME\nnorth,-37.800,145.000,a\nsouth,-37.810,145.000,b\n"
USERS = "Latitude,Longitude\n-37.801,145.000\n-37.805,145.000\n-37.900,145.000\n"


@pytest.fixture
def save(tmp_path: Path) -> Callable[[str, str], str]:
    """A writer of both tables; returns their path."""

    def write(sites: str, users: str) -> str:
        (tmp_path / "sites.csv").write_text(sites)
        (tmp_path / "users.csv").write_text(users)
        return f"{tmp_path / 'sites.csv'},{tmp_path / 'users.csv'}"

    return write


def test_a_degree_is_a_360th_of_the_way_round() -> None:
    """Along a meridian, and along the equator; at 60 degrees half as far."""
    degree = 2 * np.pi * 6_371_008.8 / 360
    found = distance(np.array([[0.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
    np.testing.assert_allclose(found, [[degree, degree, 0.0]], rtol=1e-9)
    two = distance(np.array([[60.0, 10.0]]), np.array([[60.0, 10.001]]))
    np.testing.assert_allclose(two, [[degree * 0.001 / 2]], rtol=1e-4)


def test_reach_and_times_by_hand(save: Callable[[str, str], str]) -> None:
    """A thousandth of a degree is 111 m: one user reaches one site, one both, one none.

    1.5 MB take 240 ms at 6,250 bytes a ms and 12 ms at 125,000; 2,000 of 5,000 MI/s are 400 ms.
    """
    made = read(save(SITES, USERS), radius="600")
    assert isinstance(made, TaskProblem)
    assert made.tasks.eligible.tolist() == [[True, False], [True, True], [False, False]]
    assert made.upload[0].tolist() == [242, 242 + 2 * 13]
    assert made.download[0].tolist() == [6, 6 + 2 * 2]
    assert made.run.tolist() == [[400, 400]] * 3
    assert "1 of 3 users are in reach of no site" in made.warnings[0]
    told = evaluate(made, RULES["eft"](made, 0))
    assert told.violations == ()
    assert told.rejected.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("sites", "users", "words"),
    [
        (SITES.replace("-37.800", "-137.8"), USERS, "the site in line 2: LATITUDE is '-137.8'"),
        (SITES, USERS.replace("-37.805", "nan"), "the user in line 3: Latitude is 'nan'"),
        (SITES, USERS.replace("145.000", "245.0"), "Longitude is above 180 degrees"),
        (SITES, "Latitude,Longitude\n", "no sites or no users"),
        (SITES, "x,y\n1,2\n", "no column Latitude, Longitude"),
    ],
)
def test_bad_tables_are_refused(
    save: Callable[[str, str], str], sites: str, users: str, words: str
) -> None:
    """One sentence that names the line."""
    with pytest.raises(InputError, match=words):
        read(save(sites, users))


def test_sites_alone_are_no_problem(save: Callable[[str, str], str]) -> None:
    """The way out is said."""
    with pytest.raises(InputError, match=r'give "sites.csv,users.csv"'):
        read(save(SITES, USERS).partition(",")[0])


def test_public_files(data_path: Callable[[str], Path]) -> None:
    """Melbourne's centre: 125 sites, all users in reach."""
    folder = data_path("iot/eua")
    sites, users = "edge-servers_site-optus-melbCBD.csv", "users_users-melbcbd-generated.csv"
    made = read(f"{folder / sites},{folder / users}", first="40")
    assert isinstance(made, TaskProblem)
    assert len(made.nodes) == 125
    assert made.warnings == ()
    assert not evaluate(made, RULES["eft"](made, 0)).rejected.any()
