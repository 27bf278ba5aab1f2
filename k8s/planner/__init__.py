"""The planner: unschedulable pods, gathered, become plans that are written down for the executor.

waiting    who waits for help, since when, and when to try again
tables     the cluster as a problem: who is helped, who must stay
solving    the solver's process from outside: started, limited, killed
child      the solver's process from inside
verdict    whether to move pods, to wait, or to leave it to more nodes
planner    the loop
"""
