"""Exit codes, in one place for the code, the help and the README."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the exit code of a command says."""

    OK = 0
    FAULT = 1
    USAGE = 2
    INFEASIBLE = 3
    NO_ANSWER = 4
    REFUSED = 5
    INTERRUPTED = 130
    CLOSED = 141
    TERMINATED = 143


MEANING = {
    Exit.OK: "an answer; it may be to change nothing",
    Exit.FAULT: "a fault in optsched itself: please report it",
    Exit.USAGE: "bad input or usage, or something that this installation lacks",
    Exit.INFEASIBLE: "proven: no placement satisfies the requirements",
    Exit.NO_ANSWER: "out of time without an answer",
    Exit.REFUSED: "the checker refuses the plan, or doctor found something wrong",
    Exit.INTERRUPTED: "interrupted (Ctrl-C) without an answer",
    Exit.CLOSED: "what the output was piped into stopped reading",
    Exit.TERMINATED: "ended by SIGTERM; what was written before is whole",
}

EPILOG = "Exit codes:\n" + "".join(f"  {code.value:3}  {said}\n" for code, said in MEANING.items())
