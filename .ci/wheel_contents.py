"""Compare the files of a wheel with those of the tree; print its packages.

Python and data alike: a template that pyproject.toml forgot is missed only after installation.

usage: wheel_contents.py WHEEL ROOT
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

LINKED = ("datasets", "envs", "k8s", "solvers")


def tree_files(root: Path) -> set[str]:
    """Wheel paths that the files of the tree must have."""
    own = {path.relative_to(root).as_posix() for path in walk(root / "optsched")}
    linked = {
        f"optsched/{path.relative_to(root).as_posix()}"
        for folder in LINKED
        for path in walk(root / folder)
    }
    return own | linked


def walk(folder: Path) -> Iterator[Path]:
    """Files below a folder, without following links, without compiled Python and caches."""
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__pycache__"))]
        yield from (Path(parent, name) for name in files)


def main(wheel: str, root: str) -> int:
    """Print the packages; return 1 where wheel and tree differ."""
    shipped = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = tree_files(Path(root))
    for name in sorted(expected - shipped):
        print(f"missing from the wheel: {name}", file=sys.stderr)
    for name in sorted(shipped - expected):
        print(f"in the wheel, not in the tree: {name}", file=sys.stderr)
    foreign = sorted({PurePosixPath(name).parts[0] for name in shipped} - {"optsched"})
    for name in foreign:
        print(f"the wheel exposes a top-level {name!r}", file=sys.stderr)
    packages = Counter(PurePosixPath(name).parent.as_posix() for name in shipped)
    for package, files in sorted(packages.items()):
        print(f"{package.replace('/', '.'):40} {files:4} files")
    return int(shipped != expected or bool(foreign))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
