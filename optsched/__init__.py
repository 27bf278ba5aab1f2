"""optsched decides where things run: pods, virtual machines, LLM workers, IoT tasks."""

from __future__ import annotations

__version__ = "0.1.0"
