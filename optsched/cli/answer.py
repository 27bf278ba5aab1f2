"""Where the answer of solve goes."""

from __future__ import annotations

import os
from dataclasses import dataclass

import click

PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf", ".eps"}


@dataclass(frozen=True)
class Answer:
    """Where the answer goes: files, and text or JSON on standard output."""

    plan_out: str | None
    report: str | None
    output: str
    max_rows: int

    def require_writable(self, *, picture: bool) -> None:
        """Refuse what could not be written, before anything is searched."""
        from optsched.snapshot import require_writable

        files = [path for path in (self.plan_out, self.report) if path]
        if "-" in files:
            raise click.UsageError("the answer goes to standard output; name files for the others")
        if len(set(map(os.path.realpath, files))) < len(files):
            raise click.UsageError(f"--plan-out and --report are the same file, {files[0]}")
        for path in files:
            require_writable(path)
        if self.report:
            _require_page(self.report, picture=picture)
        if picture and self.plan_out:
            raise click.UsageError("--curve makes no plan; leave out --plan-out")


def _require_page(report: str, *, picture: bool) -> None:
    """Refuse names of pictures that are not drawn; a page under such a name opens nowhere."""
    ending = os.path.splitext(report)[1].lower()
    if ending in PICTURES or (ending == ".svg" and not picture):
        drawn = "an HTML page or, named .svg, a picture" if picture else "an HTML page"
        raise click.UsageError(f"--report writes {drawn}; {report[:120]!r} would be neither")
