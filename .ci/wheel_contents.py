"""Compare the Python files of a wheel with those of the tree; print its packages.

usage: wheel_contents.py WHEEL ROOT
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

LINKED = ("envs", "k8s", "solvers")


def tree_modules(root: Path) -> set[str]:
    """Wheel paths that the Python files of the tree must have."""
    own = {path.relative_to(root).as_posix() for path in walk(root / "optsched")}
    linked = {
        f"optsched/{path.relative_to(root).as_posix()}"
        for folder in LINKED
        for path in walk(root / folder)
    }
    return own | linked


def walk(folder: Path) -> list[Path]:
    """Python files below a folder, without following links."""
    links = [entry for entry in folder.iterdir() if entry.is_symlink()]
    files = folder.rglob("*.py")
    return [file for file in files if not any(link in file.parents for link in links)]


def main(wheel: str, root: str) -> int:
    """Print the packages; return 1 where wheel and tree differ."""
    names = [name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name]
    shipped = {name for name in names if name.endswith(".py")}
    expected = tree_modules(Path(root))
    for name in sorted(expected - shipped):
        print(f"missing from the wheel: {name}", file=sys.stderr)
    for name in sorted(shipped - expected):
        print(f"in the wheel, not in the tree: {name}", file=sys.stderr)
    foreign = sorted({PurePosixPath(name).parts[0] for name in names} - {"optsched"})
    for name in foreign:
        print(f"the wheel exposes a top-level {name!r}", file=sys.stderr)
    packages = Counter(PurePosixPath(name).parent.as_posix() for name in names)
    for package, files in sorted(packages.items()):
        print(f"{package.replace('/', '.'):40} {files:4} files")
    return int(shipped != expected or bool(foreign))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
