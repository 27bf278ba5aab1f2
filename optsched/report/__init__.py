"""Answers for people: rows and words for the terminal, one HTML page for the browser."""

from __future__ import annotations

from .page import page, plan_page
from .summary import Summary, summarize

__all__ = ["Summary", "page", "plan_page", "summarize"]
