"""The front end that the scheduler asks; a process of its own, so that nothing else slows it.

`app` answers the verbs, `ops` the probes and metrics, `server` keeps the ports open, and `front`
holds what the answers are made from.
"""
