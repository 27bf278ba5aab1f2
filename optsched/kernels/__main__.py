"""`python -m optsched.kernels`: compile the kernels now, so that the first solve need not."""

from . import warm, warm_migration, warm_schedules

warm()
warm_migration()
warm_schedules()
