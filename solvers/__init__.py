"""Solvers: problem and budget in, checked plan with a bound out."""
