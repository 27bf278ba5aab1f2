"""Builds the real control plane that the tests run: etcd, Kubernetes and KWOK, from Go modules.

    python tests/controlplane/build.py          # builds what is not there; prints where it is
    python tests/controlplane/build.py --where  # only prints

The binaries go to ~/.cache/optsched/controlplane/KEY (OPTSCHED_CACHE names another folder), where
KEY is the version and a digest of everything that is built. A cold build takes about ten minutes on
two cores and 3 GB of Go's own cache. Where KUBEBUILDER_ASSETS names a folder with kube-apiserver
and etcd in it, the binaries that are there are taken and only the rest is built.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
VERSION = "v1.36.3"
KUBERNETES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
STAMP = "k8s.io/component-base/version."


class BuildError(Exception):
    """One sentence that says what is missing."""


def sources() -> list[Path]:
    """Everything that decides what is built."""
    return sorted(
        path
        for path in HERE.rglob("*")
        if path.suffix == ".go" or path.name in ("go.mod", "go.sum")
    )


def folder() -> Path:
    """Where the binaries are, or will be."""
    digest = hashlib.sha256()
    for path in sources():
        digest.update(str(path.relative_to(HERE)).encode() + path.read_bytes())
    cache = Path(os.environ.get("OPTSCHED_CACHE") or Path.home() / ".cache" / "optsched")
    return cache / "controlplane" / f"{VERSION}-{digest.hexdigest()[:12]}"


def given(name: str) -> Path | None:
    """A binary of envtest, if there is one."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    path = Path(assets) / name if assets else None
    return path if path and path.is_file() else None


def binaries() -> dict[str, Path]:
    """All of them by name.

    Raises
    ------
    BuildError
        One of them is not there.
    """
    found = {name: given(name) or folder() / name for name in (*KUBERNETES, "kwok")}
    missing = [name for name, path in found.items() if not path.is_file()]
    if missing:
        raise BuildError(f"no {', '.join(missing)}: `make controlplane` builds them, with Go")
    return found


def build() -> None:
    """Build what is not there yet, one after another; nothing half built is left behind.

    Raises
    ------
    BuildError
        There is no Go, or it fails.
    """
    target = folder()
    go = shutil.which("go")
    target.mkdir(parents=True, exist_ok=True)
    for name in (*KUBERNETES, "kwok"):
        if given(name) or (target / name).is_file():
            continue
        if go is None:
            raise BuildError(f"{name} cannot be built: there is no Go (1.26 or newer) on the path")
        began = time.monotonic()
        print(f"building {name} ...", flush=True)
        _compile(go, name, target)
        print(f"building {name}: {time.monotonic() - began:.0f} s", flush=True)


def _compile(go: str, name: str, target: Path) -> None:
    kwok = name == "kwok"
    where, package = (
        (HERE / "kwok", "sigs.k8s.io/kwok/cmd/kwok") if kwok else (HERE, f"./cmd/{name}")
    )
    major, minor = VERSION.removeprefix("v").split(".")[:2]
    stamps = {"gitVersion": VERSION, "gitMajor": major, "gitMinor": minor}
    flags = "-s -w " + " ".join(f"-X {STAMP}{key}={value}" for key, value in stamps.items())
    with tempfile.TemporaryDirectory(dir=target) as work:
        made = Path(work) / name
        command = [go, "build", "-trimpath", "-ldflags", flags, "-o", str(made), package]
        done = subprocess.run(
            command,
            cwd=where,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise BuildError(f"{name} cannot be built: {done.stderr.strip()[-2000:]}")
        made.rename(target / name)


def main() -> int:
    """Exit code 2 if something is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--where", action="store_true", help="only print the folder")
    args = parser.parse_args()
    try:
        if not args.where:
            build()
            binaries()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 2
    print(folder())
    return 0


if __name__ == "__main__":
    sys.exit(main())
