"""Builds what the tests run, from Go modules: etcd, Kubernetes and KWOK; helm and kustomize.

Custom resources of other projects come from their modules too, as they are (`definitions`).

    python tests/controlplane/build.py              # builds what is not there; prints where it is
    python tests/controlplane/build.py --minor 1.35 # another minor version than go.mod's
    python tests/controlplane/build.py --list       # prints the minor versions

The same mains serve all versions: go.mod names the current one, matrix/*.mod the others. Binaries
go into ~/.cache/optsched/controlplane (OPTSCHED_CACHE names another folder than ~/.cache/optsched),
below a name made of the version and a digest of everything that is built. A cold build takes about
ten minutes on two cores and 3 GB of Go's own cache. Where KUBEBUILDER_ASSETS names a folder with
kube-apiserver and etcd in it, the binaries that are there are taken and only the rest is built.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
KUBERNETES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
KWOK = "kwok"
# Programs that are the tools of modules of their own, since each pins other versions than the rest:
# the package, and the dependency whose version names what is built.
TOOLS = {
    KWOK: ("sigs.k8s.io/kwok/cmd/kwok", "sigs.k8s.io/kwok"),
    "helm": ("helm.sh/helm/v3/cmd/helm", "helm.sh/helm/v3"),
    "kustomize": ("sigs.k8s.io/kustomize/kustomize/v5", "sigs.k8s.io/kustomize/kustomize/v5"),
}
# Files of modules that are only looked at: custom resources that the chart makes objects of.
SCHEMAS = {
    "github.com/cert-manager/cert-manager": (
        "deploy/crds/cert-manager.io_certificates.yaml",
        "deploy/crds/cert-manager.io_issuers.yaml",
    ),
    "github.com/prometheus-operator/prometheus-operator": (
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
    ),
}
STAMP = "k8s.io/component-base/version."
MINOR = "OPTSCHED_KUBERNETES"  # variable that names a minor version, such as 1.35


class BuildError(Exception):
    """One sentence that says what is missing."""


@dataclass(frozen=True)
class Module:
    """A Go module that programs are built from.

    Attributes
    ----------
    requires
        Its go.mod, or a file in the place of it.
    main
        The dependency whose version names what is built.
    """

    requires: Path
    main: str
    home: Path = HERE

    @property
    def version(self) -> str:
        """Of the main dependency."""
        found = re.search(rf"\b{re.escape(self.main)} (v\S+)", self.requires.read_text())
        if found is None:
            raise BuildError(f"{self.requires} names no {self.main}")
        return found[1]

    @property
    def folder(self) -> Path:
        """Where its binaries are, or will be."""
        digest = hashlib.sha256()
        sources = sorted((self.home / "cmd").rglob("*.go"))
        for path in (*sources, self.requires, self.requires.with_suffix(".sum")):
            digest.update(path.name.encode() + path.read_bytes())
        cache = Path(os.environ.get("OPTSCHED_CACHE") or Path.home() / ".cache" / "optsched")
        name = re.sub(r"/v\d+$", "", self.main).rpartition("/")[2]
        name = f"{name}-{self.version}-{digest.hexdigest()[:12]}"
        return cache / "controlplane" / name


def minors() -> dict[str, Path]:
    """The minor versions that can be built, the current one first."""
    found: dict[str, Path] = {}
    for path in (HERE / "go.mod", *sorted((HERE / "matrix").glob("*.mod"), reverse=True)):
        version = Module(path, "k8s.io/kubernetes").version
        found[version.removeprefix("v").rpartition(".")[0]] = path
    return found


def module(name: str, minor: str = "") -> Module:
    """What a program is built from.

    Raises
    ------
    BuildError
        There is no such minor version.
    """
    if name in TOOLS:
        return Module(HERE / name / "go.mod", TOOLS[name][1], HERE / name)
    known = minors()
    minor = minor or os.environ.get(MINOR) or next(iter(known))
    if minor not in known:
        raise BuildError(f"Kubernetes {minor} is not set up here; known are {', '.join(known)}")
    return Module(known[minor], "k8s.io/kubernetes")


def given(name: str) -> Path | None:
    """A binary of envtest, if there is one."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    path = Path(assets) / name if assets else None
    return path if path and path.is_file() else None


def binaries(minor: str = "") -> dict[str, Path]:
    """All of them by name.

    Raises
    ------
    BuildError
        One of them is not there.
    """
    names = (*KUBERNETES, KWOK)
    found = {name: given(name) or module(name, minor).folder / name for name in names}
    missing = [name for name, path in found.items() if not path.is_file()]
    if missing:
        raise BuildError(f"no {', '.join(missing)}: `make controlplane` builds them, with Go")
    return found


def tool(name: str) -> Path:
    """One of `TOOLS`.

    Raises
    ------
    BuildError
        It is not there.
    """
    path = module(name).folder / name
    if not path.is_file():
        raise BuildError(f"no {name}: `make controlplane` builds it, with Go")
    return path


def definitions() -> list[Path]:
    """The files of `SCHEMAS`, downloaded unless Go has them; their sums are checked by Go.

    Raises
    ------
    BuildError
        There is no Go, or it fails.
    """
    go, home, found = _go(), HERE / "schemas", []
    if go is None:
        raise BuildError("custom resources of others cannot be read: there is no Go on the path")
    for name, files in SCHEMAS.items():
        version = Module(home / "go.mod", name, home).version
        done = subprocess.run(
            [go, "mod", "download", "-json", f"{name}@{version}"],
            cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise BuildError(f"{name} cannot be downloaded: {(done.stderr + done.stdout)[-500:]}")
        found += [Path(json.loads(done.stdout)["Dir"]) / file for file in files]
    return found


def _go() -> str | None:
    return shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


def build(minor: str = "") -> None:
    """Build what is not there yet, one after another; nothing half built is left behind.

    Raises
    ------
    BuildError
        There is no Go, or it fails.
    """
    go = _go()
    names = (*KUBERNETES, *TOOLS)
    for number, name in enumerate(names, 1):
        what = module(name, minor)
        if given(name) or (what.folder / name).is_file():
            continue
        if go is None:
            raise BuildError(f"{name} cannot be built: there is no Go (1.26 or newer) on the path")
        began = time.monotonic()
        print(f"{number} of {len(names)}: building {name} {what.version} ...", flush=True)
        _compile(go, name, what)
        print(f"{number} of {len(names)}: {time.monotonic() - began:.0f} s", flush=True)
    if go is not None:
        definitions()


def _compile(go: str, name: str, what: Module) -> None:
    package = TOOLS[name][0] if name in TOOLS else f"./cmd/{name}"
    major, minor = what.version.removeprefix("v").split(".")[:2]
    stamps = {"gitVersion": what.version, "gitMajor": major, "gitMinor": minor}
    flags = "-s -w " + " ".join(f"-X {STAMP}{key}={value}" for key, value in stamps.items())
    what.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=what.folder) as work:
        made = Path(work) / name
        command = [go, "build", "-p", "2", "-trimpath", "-modfile", str(what.requires)]
        done = subprocess.run(
            [*command, "-ldflags", flags, "-o", str(made), package],
            cwd=what.home,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise BuildError(f"{name} cannot be built: {done.stderr.strip()[-2000:]}")
        made.rename(what.folder / name)


def main() -> int:
    """Exit code 2 if something is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minor", default="", help="such as 1.35; default go.mod's")
    parser.add_argument("--list", action="store_true", help="print the minor versions, and end")
    args = parser.parse_args()
    if args.list:
        print(*minors())
        return 0
    try:
        build(args.minor)
        print(*sorted({path.parent for path in binaries(args.minor).values()}), sep="\n")
    except BuildError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
