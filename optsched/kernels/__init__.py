"""Hot loops, compiled by numba where it is installed; without it the same functions run plain."""
