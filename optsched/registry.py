"""Names of solvers and formats, resolved only when they are used.

Values are `module:attribute`. Nothing is imported before it is asked for, so that `optsched --help`
answers at once and rooms that sit higher in the house can be named from lower ones.
"""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import Any

from .errors import MissingExtraError, UnsupportedError

SOLVERS: dict[str, str] = {
    "greedy": "optsched.solvers.greedy:Greedy",
    "fragments": "optsched.solvers.fragments.exchange:Fragments",
    "fragments-greedy": "optsched.solvers.fragments.greedy:FragmentsGreedy",
    "local": "optsched.solvers.local:LocalSearch",
    "counts": "optsched.solvers.counts:Counts",
    "patterns": "optsched.solvers.patterns:Patterns",
    "portfolio": "optsched.solvers.portfolio:Portfolio",
    "policy": "optsched.solvers.policy:Policy",
}

TASK_SOLVERS: dict[str, str] = {
    "greedy": "optsched.solvers.scheduling.solvers:Greedy",
    "cpsat": "optsched.solvers.scheduling.solvers:Exact",
    "colony": "optsched.solvers.scheduling.solvers:Ants",
    "portfolio": "optsched.solvers.scheduling.solvers:Portfolio",
    "policy": "optsched.solvers.scheduling.learned:Policy",
    "hybrid": "optsched.solvers.scheduling.learned:Hybrid",
}

FORMATS: dict[str, str] = {
    "tasks": "optsched.snapshot.task_files:TasksFormat",
    "snapshot": "optsched.snapshot:SnapshotFormat",
    "kubectl": "optsched.formats.kubectl:KubectlFormat",
    "raycloudsim": "optsched.formats.raycloudsim:RayCloudSimFormat",  # before what takes any tables
    "eua": "optsched.formats.eua:EuaFormat",
    "openb": "optsched.formats.openb:OpenbFormat",
    "priority-matters": "optsched.formats.priority_matters:PriorityMattersFormat",
    "bytedance-vm": "optsched.formats.bytedance_vm:BytedanceVmFormat",
    "wfcommons": "optsched.formats.wfcommons:WfCommonsFormat",
    "cloudbalancing": "optsched.formats.cloudbalancing:CloudBalancingFormat",
}


def load(target: str, extra: str = "") -> Any:
    """The object that `module:attribute` names.

    Raises
    ------
    MissingExtraError
        A dependency is not installed.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("optsched"):
            raise UnsupportedError(f"{target} is not part of this installation") from error
        hint = f": pip install 'optsched[{extra}]'" if extra else ""
        raise MissingExtraError(f"{target} needs the package {error.name!r}{hint}") from error


def find(table: dict[str, str], name: str, what: str) -> Any:
    """Load `table[name]`, or say which names there are.

    Raises
    ------
    UnsupportedError
        There is no such name.
    """
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnsupportedError(f"no {what} {name!r}{hint} (there are: {', '.join(sorted(table))})")
    return load(table[name])


def solver(name: str) -> Any:
    """A new solver by name; "policy:FILE" is the policy with an agent of one's own."""
    kind, _, file = name.partition(":")
    if kind == "policy" and file:
        return find(SOLVERS, kind, "solver")(file)
    return find(SOLVERS, name, "solver")()


# What names of `TASK_SOLVERS` may be followed by.
TASK_RULES = "one rule alone is greedy:RULE, such as greedy:eft; policy:FILE takes your own agent"


def task_solver(name: str) -> Any:
    """A new solver of task problems by name.

    "greedy:RULE" is one dispatching rule alone, "policy:FILE" and "hybrid:FILE" use an agent of
    one's own.
    """
    kind, _, more = name.partition(":")
    if kind in ("greedy", "policy", "hybrid") and more:
        return find(TASK_SOLVERS, kind, "solver of tasks")(more)
    try:
        return find(TASK_SOLVERS, name, "solver of tasks")()
    except UnsupportedError as error:
        if name in TASK_SOLVERS:  # a package is missing
            raise
        raise UnsupportedError(f"{error}; {TASK_RULES}") from None
