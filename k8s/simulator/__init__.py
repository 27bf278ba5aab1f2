"""A cluster that is not there: for `optsched simulate` and the tests.

api_server  resource versions, watches, evictions with budgets, over real HTTP on loopback
clock       time that passes when told to
front       the extender's guard without its server
cluster     controllers, kubelets and a scheduler for the objects of a dump
run         the planner and the executor on all of these
"""
