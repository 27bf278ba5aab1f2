"""`optsched doctor`: looks at a cluster and a scheduler's configuration, and says what is wrong."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from optsched.errors import InputError, OptschedError
from optsched.k8s import gates
from optsched.k8s.api import Api, ApiError, access
from optsched.k8s.configuration import plain_yaml
from optsched.k8s.leader import home
from optsched.k8s.mirror import NODES, PODS
from optsched.k8s.records import PLANS, SLOTS
from optsched.k8s.rights import ADVISE, BESIDE, ENFORCE, NOMINATE, READS, WAKE, Rights
from optsched.k8s.settings import Deployment, Mode, Settings, Tls, is_loopback
from optsched.k8s.tls import Certificates

_AMOUNT = r"([\d.]+)(ns|us|ms|s|m|h)"
TIMEOUT = 1000  # ms; a scheduler waits so long for a hung extender, for every pod
OLDEST, NEWEST = (1, 31), (1, 37)
GATE = (
    "kubectl apply -f DIR/manifests/gate.yaml (see serve --write-manifests), or gate the templates"
)
INSTALL = "optsched serve --write-manifests DIR, then kubectl apply -k DIR/manifests/crds"
KUBE_SCHEDULER = "kube-scheduler"  # the Lease's default name
SNIPPET = """\
extenders:
- urlPrefix: {url}
  filterVerb: filter
  preemptVerb: preempt
  nodeCacheCapable: true
  ignorable: true
  httpTimeout: 200ms{tls}"""
TLS = """
  enableHTTPS: true
  tlsConfig:
    certFile: /etc/optsched/client.crt
    keyFile: /etc/optsched/client.key
    caFile: /etc/optsched/ca.crt"""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes
    ----------
    verdict
        "ok", "note" (works, with less) or "wrong".
    remedy
        What mends it; "" if nothing is needed.
    """

    verdict: str
    what: str
    remedy: str = ""


def ok(what: str) -> Finding:
    """All is well."""
    return Finding("ok", what)


def snippet(settings: Settings) -> str:
    """What the scheduler's configuration should have."""
    extender = settings.extender
    secure = extender.tls.enabled
    host = f"[{extender.address}]" if ":" in extender.address else extender.address
    host = "127.0.0.1" if host in ("0.0.0.0", "[::]") else host
    url = f"{'https' if secure else 'http'}://{host}:{extender.port}{extender.prefix}"
    return SNIPPET.format(url=url, tls=TLS if secure else "")


def scheduler_findings(path: str | Path, settings: Settings) -> list[Finding]:
    """What a KubeSchedulerConfiguration means for us.

    Raises
    ------
    InputError
        The file cannot be read.
    """
    tree = _read(path)
    if tree.get("kind") != "KubeSchedulerConfiguration":
        return [Finding("wrong", f"{path} is no KubeSchedulerConfiguration")]
    if settings.deployment is Deployment.GATED:
        return [ok("deployment Gated needs no extender")]
    mend = "give the scheduler this:\n" + snippet(settings)
    ours = [one for one in _rows(tree.get("extenders")) if _is_ours(one, settings)]
    if not ours:
        return [Finding("wrong", f"no extender points to port {settings.extender.port}", mend)]
    found = [ok(f"the extender at {str(ours[0].get('urlPrefix'))[:100]} is ours")]
    if len(ours) > 1:
        found.append(Finding("wrong", f"{len(ours)} extenders point to us; keep one", mend))
    found += _extender_findings(ours[0], settings, mend)
    names = [str(one.get("schedulerName", "default-scheduler")) for one in _rows(
        tree.get("profiles"))] or ["default-scheduler"]  # fmt: skip
    missing = sorted(set(settings.scheduler_names) - set(names))
    if missing:
        told = f"schedulerNames has {', '.join(missing)}, which this scheduler has no profile for"
        found.append(Finding("wrong", told, f"it has {', '.join(names)[:200]}"))
    found += _election_findings(tree, settings.leader.beside)
    qps = _section(tree, "clientConnection").get("qps", 50)
    if isinstance(qps, int | float) and qps <= 50:
        found.append(
            Finding(
                "note",
                f"clientConnection.qps is {qps}: the scheduler binds at most so many pods a second",
                "raise clientConnection.qps and burst where many pods come at once",
            )
        )
    return found


def _extender_findings(one: dict[str, Any], settings: Settings, mend: str) -> list[Finding]:
    found = _address_findings(one, settings, mend)
    wanted = {"filterVerb": "filter", "preemptVerb": "preempt", "nodeCacheCapable": True}
    for key, value in wanted.items():
        if one.get(key) != value:
            told = f"{key} is {one.get(key)!r} and must be {value!r}"
            found.append(Finding("wrong", told, mend))
    if one.get("bindVerb"):
        found.append(Finding("wrong", "bindVerb is set; we bind no pods", "remove bindVerb"))
    if not one.get("ignorable"):
        told = "ignorable is not set: if the extender is down, no pod is scheduled"
        found.append(Finding("note", told, "set ignorable: true"))
    timeout = _milliseconds(one.get("httpTimeout"))
    if not timeout or timeout > TIMEOUT:
        given = str(one.get("httpTimeout", "not set"))[:40]
        told = f"httpTimeout is {given}{'' if timeout else ', which means 5s'}"
        found.append(Finding("wrong", f"{told}: a hung extender costs that for every pod", mend))
    if one.get("managedResources"):
        told = "managedResources is set: pods without these resources pass the guard unseen"
        found.append(Finding("note", told, "remove managedResources"))
    found += _tls_findings(one, settings, mend)
    return found or [ok("its verbs, timeout and TLS are as they should be")]


def _address_findings(one: dict[str, Any], settings: Settings, mend: str) -> list[Finding]:
    """Whether the scheduler asks where we listen."""
    where, found = urlsplit(str(one.get("urlPrefix"))), []
    if where.path.rstrip("/") != settings.extender.prefix:
        told = f"urlPrefix ends in {where.path[:80] or '/'!r}, and extender.prefix is"
        found.append(Finding("wrong", f"{told} {settings.extender.prefix!r}", mend))
    if is_loopback(settings.extender.address) and not is_loopback(where.hostname or ""):
        told = f"urlPrefix is not of this machine, and {settings.extender.address} is served alone"
        found.append(Finding("wrong", told, mend))
    return found


def _tls_findings(one: dict[str, Any], settings: Settings, mend: str) -> list[Finding]:
    """Whether both sides speak TLS, and know each other; without an authority Go trusts anybody."""
    ours, given = settings.extender.tls.enabled, _section(one, "tlsConfig")
    speaks = urlsplit(str(one.get("urlPrefix"))).scheme == "https"
    if speaks is not ours or bool(one.get("enableHTTPS")) is not ours:
        return [Finding("wrong", "one side speaks TLS and the other does not", mend)]
    if not ours:
        return []
    found = []
    if given.get("insecure") or not (given.get("caFile") or given.get("caData")):
        told = "tlsConfig names no authority: anybody could answer for the extender"
        found.append(Finding("wrong", told, mend))
    if not all(given.get(f"{key}File") or given.get(f"{key}Data") for key in ("cert", "key")):
        told = "tlsConfig has no certificate with a key: the extender answers nobody without"
        found.append(Finding("wrong", told, mend))
    return found


def _election_findings(tree: dict[str, Any], beside: str) -> list[Finding]:
    """Whether the service leads where the scheduler does; by default schedulers elect one."""
    election = _section(tree, "leaderElection")
    lease = "/".join(
        str(election.get(key, default))[:253]
        for key, default in (("resourceNamespace", "kube-system"), ("resourceName", KUBE_SCHEDULER))
    )
    mend = f"set leader.beside: {lease}"
    if election.get("leaderElect", True) is False:
        told = f"leader.beside is {beside}, and this scheduler keeps no Lease"
        return [Finding("wrong", told, 'set leader.beside: ""')] if beside else []
    if not beside:
        told = "leader.beside is not set: with several schedulers, plans need the one that leads"
        return [Finding("note", told, mend)]
    if beside != lease:
        return [
            Finding("wrong", f"leader.beside is {beside}, and the scheduler's is {lease}", mend)
        ]
    return [ok("the service leads where the scheduler does")]


def _is_ours(one: dict[str, Any], settings: Settings) -> bool:
    try:
        where = urlsplit(str(one.get("urlPrefix", "")))
        return where.port == settings.extender.port
    except ValueError:
        return False


def _milliseconds(text: object) -> float | None:
    """A duration as Go reads it; None if it is none."""
    if not isinstance(text, str) or not re.fullmatch(rf"(?:{_AMOUNT})+", text):
        return None
    unit = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1000.0, "m": 60_000.0, "h": 3_600_000.0}
    try:
        return sum(float(value) * unit[name] for value, name in re.findall(_AMOUNT, text))
    except ValueError:
        return None


def _section(tree: dict[str, Any], key: str) -> dict[str, Any]:
    found = tree.get(key)
    return found if isinstance(found, dict) else {}


def _rows(thing: object) -> list[dict[str, Any]]:
    return [one for one in thing if isinstance(one, dict)] if isinstance(thing, list) else []


def _read(path: str | Path) -> dict[str, Any]:
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {type(error).__name__}") from error
    tree = plain_yaml(text, str(path))
    if not isinstance(tree, dict):
        raise InputError(f"{path} is no KubeSchedulerConfiguration")
    return tree


def settings_findings(settings: Settings) -> list[Finding]:
    """What the configuration itself leaves open."""
    found = [ok(f"the configuration is good; mode {settings.mode.value}")]
    extender = settings.extender
    if settings.deployment is Deployment.GATED:
        told = f"pods are held in namespaces with the label {gates.OPTED_IN}=true"
        found.append(Finding("note", told, GATE))
    elif not extender.tls.enabled and is_loopback(extender.address):
        told = "the verbs are served without TLS: every process of this host may ask them"
        found.append(Finding("note", told, "give extender.tls its three files"))
    else:
        found.append(_certificate(extender.tls))
    if settings.mode is Mode.ENFORCE and not settings.namespaces.helped:
        told = "pods of every namespace are helped"
        found.append(Finding("note", told, "name namespaces in namespaces.helped, to begin with"))
    return found


def _certificate(tls: Tls) -> Finding:
    """Whether the front end could serve with its files, where they are."""
    for path in (tls.cert_file, tls.key_file, tls.ca_file):
        if not Path(path).is_file():
            return Finding("note", f"{path} is not here, so the certificate was not looked at")
    try:
        expires = Certificates(tls).expires
    except InputError as error:
        return Finding("wrong", str(error), "give extender.tls files that belong together")
    if expires < time.time():
        return Finding("wrong", f"the certificate {tls.cert_file} has expired", "renew it")
    return ok("the certificate of the front end is good")


async def cluster_findings(settings: Settings) -> list[Finding]:
    """What the cluster and our account in it leave open.

    Raises
    ------
    InputError
        There is no way to the cluster.
    """
    async with Api(access(settings.client), settings.client) as api:
        try:
            found = [_version(await api.get("/version"))]
            if abs(api.skew) > 2.0:
                told = f"the clock differs from the API server's by {api.skew:.1f} s"
                found.append(Finding("wrong", told, "synchronise clocks; until then: Advisory"))
            found += await _records(api)
            leader = settings.leader
            rights = Rights(api, leader.namespace or home(), leader.lease_name, leader.beside)
            await rights.check()
            found += _rights(rights, settings)
            found += await _objects(api)
        except ApiError as error:
            told = f"the API server cannot be asked: {error.status} {error.reason}"
            return [Finding("wrong", told, "check client.kubeconfig, or the service account")]
    return found


class _Version(msgspec.Struct, rename="camel"):
    git_version: str = ""
    major: str = ""
    minor: str = ""


def _version(body: bytes) -> Finding:
    try:
        told = msgspec.json.decode(body, type=_Version)
        version = int(told.major), int(told.minor.rstrip("+"))
    except (msgspec.MsgspecError, ValueError):
        return Finding("note", "the API server does not tell its version")
    if version < OLDEST or version > NEWEST:
        return Finding("note", f"Kubernetes {told.git_version[:40]} was not looked at by us")
    return ok(f"Kubernetes {told.git_version[:40]}")


async def _records(api: Api) -> list[Finding]:
    for kind in (PLANS, SLOTS):
        try:
            await api.get(kind.path, {"limit": "1"})
        except ApiError as error:
            if error.status == 404:
                told = f"there is no resource {kind.plural}.{kind.group}"
                return [Finding("wrong", told, INSTALL)]
            if error.status != 403:
                raise
    return [ok("the custom resources are there")]


def _rights(rights: Rights, settings: Settings) -> list[Finding]:
    found, acts = [], settings.mode in (Mode.DRYRUN, Mode.ENFORCE)
    needed = "wrong" if acts else "note"
    slower = ("note", "pods are placed somewhat later")
    wakes = ("wrong", "gates are not opened") if settings.deployment is Deployment.GATED else slower
    for kinds, verdict, effect in (
        (READS, "wrong", "nothing can be planned"),
        (ADVISE, "wrong", "plans cannot be written down"),
        ((BESIDE,), "wrong", "no replica leads"),
        (ENFORCE, needed, "it stays Advisory"),
        ((NOMINATE,), *slower),
        ((WAKE,), *wakes),
    ):
        if lacking := rights.lacking(kinds):
            told = f"this account may not {', '.join(lacking)}: {effect}"
            found.append(Finding(verdict, told, "give it the verbs in a ClusterRole"))
    return found or [ok("this account has every right")]


async def _objects(api: Api) -> list[Finding]:
    found = []
    for kind in (NODES, PODS):
        await api.get(kind.path, {"limit": "1"})
        found.append(ok(f"{kind.plural} can be read"))
    return found


async def examine(settings: Settings, scheduler: str | None, *, cluster: bool) -> list[Finding]:
    """Everything."""
    found = settings_findings(settings)
    if scheduler is not None:
        found += scheduler_findings(scheduler, settings)
    if cluster:
        try:
            found += await cluster_findings(settings)
        except OptschedError as error:
            found.append(Finding("wrong", str(error)))
    return found
