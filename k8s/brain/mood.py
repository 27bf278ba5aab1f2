"""What the brain dares: the mode that is in force, and why it may be less than was asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable

import msgspec

from optsched.k8s.api import Api, ApiError
from optsched.k8s.configuration import Watched
from optsched.k8s.mirror import Mirror
from optsched.k8s.records import PLANS, SLOTS
from optsched.k8s.rights import ADVISE, BESIDE, ENFORCE, NOMINATE, READS, WAKE, Rights
from optsched.k8s.settings import Deployment, Mode, Settings

SKEW = 2.0  # seconds by which our clock may differ from the server's for tokens to be trusted

Check = tuple[str, bool, str]


class Mood:
    """Joins the settings with what this account and this machine can do."""

    def __init__(self, watched: Watched, api: Api, mirror: Mirror, rights: Rights) -> None:
        self._watched, self._api = watched, api
        self._mirror, self._rights = mirror, rights
        self._no_records = ""
        self.notes: list[Callable[[], Check]] = [
            self.mode_in_force, self.optional_rights, self.configuration, self.clocks
        ]  # fmt: skip

    @property
    def mode(self) -> Mode:
        """The mode in force."""
        return self.settings().mode

    def settings(self) -> Settings:
        """The settings in force."""
        wanted = self._watched.current
        acts = wanted.mode in (Mode.ENFORCE, Mode.DRYRUN)
        advisory = acts and bool(self.why_advisory())
        nominate = wanted.moves.nominate == "Auto" and not self._rights.lacks(NOMINATE)
        return _changed(wanted, advisory, nominate)

    def why_advisory(self) -> str:
        """Why nothing is done although the configuration asks for it, "" if it is."""
        if not self._rights.known:
            return "it is not known yet what this account may do"
        if lacking := self._rights.lacking((*ADVISE, BESIDE, *ENFORCE)):
            return f"this account may not {', '.join(lacking)}"
        if self._watched.current.deployment is Deployment.GATED and self._rights.lacks(WAKE):
            return f"this account may not {WAKE}, which opens gates"
        if abs(self._api.skew) > SKEW:
            return f"the clock differs from the API server's by {self._api.skew:.1f} s"
        return ""

    async def look_for_records(self) -> None:
        """Find out whether the custom resources are there."""
        for kind in (PLANS, SLOTS):
            try:
                await self._api.get(kind.path, {"limit": "1"})
            except ApiError as error:
                if error.status != 404:
                    raise
                self._no_records = (
                    f"there is no resource {kind.plural}.{kind.group}; "
                    "apply the CustomResourceDefinitions (optsched serve --write-manifests DIR)"
                )
                return
        self._no_records = ""

    # What /readyz says

    def rights_to_read(self) -> Check:
        """Whether everything may be read that the tables are made of."""
        lacking = self._rights.lacking(READS)
        if lacking:
            return "rights to read", False, f"this account may not {', '.join(lacking)}"
        return "rights to read", True, "all" if self._rights.known else "not known yet"

    def records(self) -> Check:
        """Whether plans can be written down."""
        if self._no_records:
            return "custom resources", False, self._no_records
        return "custom resources", True, "present"

    def caches(self) -> Check:
        """Whether the cluster has been read."""
        late = [one for one in self._mirror.reflectors.values() if not one.synced]
        if not late:
            return "caches", True, f"read; the youngest word is {self._mirror.age():.1f} s old"
        why = [f"{one.resource.plural} ({_trouble(one.restarts)})" for one in late]
        return "caches", False, f"not read yet: {', '.join(why)}"

    def mode_in_force(self) -> Check:
        """The mode, and why it is not the one that was asked for."""
        wanted, mode = self._watched.current.mode, self.mode
        if mode is wanted:
            return "mode", True, mode.value
        return "mode", False, f"{mode.value}, not {wanted.value}: {self.why_advisory()}"

    def optional_rights(self) -> Check:
        """What would make plans faster."""
        lacking = self._rights.lacking((NOMINATE, WAKE))
        if lacking and self.mode is Mode.ENFORCE:
            told = f"this account may not {', '.join(lacking)}: pods are placed somewhat later"
            return "rights that speed up", False, told
        return "rights that speed up", True, "all" if not lacking else "not needed"

    def configuration(self) -> Check:
        """Whether the file is in force."""
        if self._watched.error:
            return "configuration", False, f"the last good one is in force: {self._watched.error}"
        if pending := self._watched.pending:
            return "configuration", False, f"a restart is due for {', '.join(pending)}"
        return "configuration", True, "in force"

    def clocks(self) -> Check:
        """How our clock compares with the server's."""
        skew = self._api.skew
        return "clock", abs(skew) <= SKEW, f"{skew:+.1f} s off the API server's"


def _trouble(restarts: dict[str, int]) -> str:
    told = {"403": "forbidden", "401": "not authenticated"}
    reasons = [told.get(reason, reason) for reason in restarts]
    return reasons[-1] if reasons else "being read"


@functools.lru_cache(maxsize=8)
def _changed(wanted: Settings, advisory: bool, nominate: bool) -> Settings:
    moves = wanted.moves
    if not nominate:
        moves = msgspec.structs.replace(moves, nominate="Off")
    mode = Mode.ADVISORY if advisory else wanted.mode
    return msgspec.structs.replace(wanted, mode=mode, moves=moves)
