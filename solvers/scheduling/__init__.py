"""Solvers of task problems: where and when each task runs."""

from optsched.solvers.scheduling.rules import RULES, Rule, dispatch

__all__ = ["RULES", "Rule", "dispatch"]
