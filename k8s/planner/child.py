"""`python -m optsched.k8s.planner.child MEMORY [eager]`: the solver's process.

Reads requests from standard input and writes answers to standard output (`messages`); only the
brain that started it is at the other end. It works while nobody else wants the
processor (unless it is eager), and in no more memory than it was given.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time

from optsched.k8s.planner.messages import Answer, Request, receive, send
from optsched.plan import Order
from optsched.problem import PlacementProblem
from optsched.result import Result

QUICK = 1.0  # seconds for each of the side questions


def answer(request: Request) -> Answer:
    """Solve, and ask what else would help."""
    from optsched.k8s.planner.tables import placed

    began = time.monotonic()
    later = 0
    if request.later is not None:
        found = _quick(request.later, request)
        later = placed(request.later, found.plan.placement(request.later).host)
    left = max(0.1, request.seconds - (time.monotonic() - began))
    result = _solve(request.problem, request, left)
    if _moves_twice(result):  # evictions cannot do that: the scheduler takes one step
        left = max(QUICK, request.seconds - (time.monotonic() - began))
        result = _solve(request.problem, request, left, order=Order.SAFE)
    nodes = -1
    if placed(request.problem, result.plan.placement(request.problem).host) < int(
        (request.problem.items.host0 < 0).sum()
    ):
        nodes = _nodes(request)
    return Answer(result, later, nodes, "", time.monotonic() - began)


def _moves_twice(result: Result) -> bool:
    """Whether an item hops over a third node."""
    items = [move.item for move in result.plan.moves()]
    return len(set(items)) < len(items)


def _solve(
    problem: PlacementProblem,
    request: Request,
    seconds: float,
    solver: str = "portfolio",
    order: Order = Order.WAVES,
) -> Result:
    from optsched.api import solve

    return solve(
        problem,
        solver=solver,
        order=order,
        time_limit=seconds,
        workers=request.workers,
        seed=request.seed,
    )


def _quick(problem: PlacementProblem, request: Request) -> Result:
    return _solve(problem, request, min(QUICK, request.seconds / 4), "greedy")


def _nodes(request: Request) -> int:
    """How many nodes would have to be added, -1 if a quick look does not tell."""
    from optsched.errors import OptschedError
    from optsched.growth import candidates_used, with_candidate_hosts

    with contextlib.suppress(OptschedError):
        before = request.problem.replace(max_moves=0)
        grown = with_candidate_hosts(before)
        found = _quick(grown, request)
        placement = found.plan.placement(grown)
        if bool((placement.host[grown.items.host0 < 0] >= 0).all()):
            return sum(candidates_used(before, grown, placement).values())
    return -1


def main(arguments: list[str]) -> int:
    """Answer until the other end hangs up."""
    from optsched.k8s.parent import end_with_parent
    from optsched.k8s.priority import step_back

    end_with_parent()
    if "eager" not in arguments:
        step_back()
    memory = int(arguments[0])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    incoming, outgoing = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever libraries print does not disturb the answers
    from optsched import kernels, registry

    kernels.warm()
    for name in ("portfolio", "greedy"):
        registry.solver(name)
    # What is mapped by now is code and caches; the limit is for what a problem needs.
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    send(outgoing, Answer())
    while True:
        try:
            request = receive(incoming)
        except EOFError:
            return 0
        except MemoryError:
            send(outgoing, Answer(error="not enough memory"))
            return 1
        try:
            reply = answer(request)
        except MemoryError:
            send(outgoing, Answer(error="not enough memory"))
            return 1  # start afresh: who knows what is half done
        except Exception as error:
            reply = Answer(error=type(error).__name__)
        send(outgoing, reply)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
