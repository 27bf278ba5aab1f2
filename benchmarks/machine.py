"""What a table of results must say about where it comes from: machine, versions, date."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("optsched", "ortools", "numpy", "numba")
PATHS = ("--out", "--table", "--timefold-python")  # options whose values say nothing to others
LISTS = ("--agents", "--store")  # and those of which there may be several


def describe(*packages: str) -> dict[str, str]:
    """Processor, cores, memory, versions and date, without names of hosts or paths.

    Parameters
    ----------
    packages
        Distributions to name on top of `PACKAGES`.
    """
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{_memory_gib():.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: _version(name) for name in (*PACKAGES, *packages)},
    }


def header(*packages: str, **settings: object) -> str:
    """`describe` and the settings of a run as markdown, for the top of a results page."""
    facts = describe(*packages)
    versions = ", ".join(f"{name} {facts[name]}" for name in ("python", *PACKAGES, *packages))
    lines = [
        f"- date: {facts['date']}",
        f"- machine: {facts['processor']}, {facts['cores']} cores, {facts['memory']}, "
        f"{facts['system']}",
        f"- versions: {versions}",
        f"- command: `{command()}`",
    ]
    lines += [f"- {name.replace('_', ' ')}: {value}" for name, value in settings.items()]
    return "\n".join(lines)


def command() -> str:
    """How this process was started, without paths of this machine."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    words = ["python", "-m", spec.name if spec else Path(sys.argv[0]).name]
    given, listing = iter(sys.argv[1:]), False
    for word in given:
        listing = word in LISTS or (listing and not word.startswith("--"))
        if listing:
            words += [word, "FILE..."] if word in LISTS else []
        elif word in PATHS:
            next(given, None)
        elif not word.startswith(tuple(f"{option}=" for option in PATHS)):
            words.append(word)
    return " ".join(words)


def load() -> float:
    """Processes that ran or waited in the last minute, per core: above 1 timings are not alone."""
    return os.getloadavg()[0] / len(os.sched_getaffinity(0))


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or "unknown processor"
    models = [line.split(":", 1)[1].strip() for line in text.splitlines() if "model name" in line]
    return models[0] if models else platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
