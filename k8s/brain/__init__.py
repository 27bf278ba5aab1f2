"""The brain: mirror, planner, executor and leader election in one process, beside the front end.

`optsched serve` starts it as `python -m optsched.k8s.brain CONFIG`.
"""
