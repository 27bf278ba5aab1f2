"""Tasks that arrive, are sent to a node, run there in time and answer: the problem and its values.

`TaskProblem` holds the tables, `Schedule` says where and when each task runs, and `evaluate` is the
one place that says what a schedule is worth; solvers, environments and benchmarks all ask it.
`check_schedule` reads schedules a second time, task by task, sharing nothing with it. `reasons`
says why tasks are rejected.
"""

from .checking import check_schedule
from .evaluation import Evaluation, evaluate
from .network import Network
from .problem import TaskProblem
from .reasons import reasons
from .schedule import NEVER, Lost, Schedule
from .tables import Goal, Mix, Nodes, Objective, Taken, Tasks, Tier, Underway

__all__ = [
    "NEVER",
    "Evaluation",
    "Goal",
    "Lost",
    "Mix",
    "Network",
    "Nodes",
    "Objective",
    "Schedule",
    "Taken",
    "TaskProblem",
    "Tasks",
    "Tier",
    "Underway",
    "check_schedule",
    "evaluate",
    "reasons",
]
