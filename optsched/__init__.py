"""optsched decides where things run: pods, virtual machines, LLM workers, IoT tasks.

>>> import optsched
>>> problem = optsched.read("cluster.json")  # doctest: +SKIP
>>> result = optsched.solve(problem, time_limit=10)  # doctest: +SKIP
>>> optsched.check(problem, result.plan).violations  # doctest: +SKIP
()

Names are resolved when they are first used, so that `import optsched` costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import check as check
    from .api import read as read
    from .api import solve as solve
    from .budget import Progress as Progress
    from .errors import OptschedError as OptschedError
    from .plan import Order as Order
    from .plan import Plan as Plan
    from .problem import PlacementProblem as PlacementProblem
    from .result import Result as Result
    from .result import Status as Status

__version__ = "0.1.0"

_HOMES = {
    "OptschedError": ".errors",
    "Order": ".plan",
    "PlacementProblem": ".problem",
    "Plan": ".plan",
    "Progress": ".budget",
    "Result": ".result",
    "Status": ".result",
    "check": ".api",
    "read": ".api",
    "solve": ".api",
}

__all__ = [
    "OptschedError",
    "Order",
    "PlacementProblem",
    "Plan",
    "Progress",
    "Result",
    "Status",
    "__version__",
    "check",
    "read",
    "solve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


class _Package(ModuleType):
    """Keeps `optsched.check` the function.

    Importing the module optsched.check would bind the name in this package to the module; the
    setter below ignores that, and the module stays importable by its full name.
    """

    @property
    def check(self) -> Any:
        return __getattr__("check")

    @check.setter
    def check(self, module: ModuleType) -> None:
        pass


sys.modules[__name__].__class__ = _Package
