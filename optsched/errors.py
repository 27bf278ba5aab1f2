"""Errors that optsched raises.

OptschedError
├── InputError            a file or an argument that cannot be read as what it claims to be
│   ├── FormatError       unknown, truncated or malformed file
│   └── ProblemError      tables that contradict each other; names the object at fault
├── PlanError             a plan that does not belong to its problem
├── UnsupportedError      a solver, format or feature that cannot serve this problem
└── MissingExtraError     an optional dependency is not installed

Infeasible and out of time are statuses of a `Result`, never exceptions.
"""

from __future__ import annotations


class OptschedError(Exception):
    """Root of every error that optsched raises on purpose."""


class InputError(OptschedError, ValueError):
    """Bad input: one sentence that names the object at fault and the way out."""


class FormatError(InputError):
    """A file that is truncated, malformed, or of an unknown kind or version."""


class ProblemError(InputError):
    """Problem tables that contradict each other."""


class PlanError(OptschedError, ValueError):
    """A plan that names items or hosts its problem does not have."""


class UnsupportedError(OptschedError):
    """A solver, format or feature that cannot serve this problem."""


class MissingExtraError(OptschedError):
    """An optional dependency is needed; the message names the extra to install."""
