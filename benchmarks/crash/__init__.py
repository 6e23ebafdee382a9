"""The crash test: kills parts of a running deployment and counts the effects outside of it.

`python -m benchmarks.crash --kills 100` starts a whole deployment in a directory of its own, feeds it pushes,
kills the daemon, the code server, run workers, their zygote and the database with SIGKILL, one at a time, at
named and at random moments, waits until all work is done, and then looks at the repository, the environments'
own log and an outside HTTP receiver: what is missing there is lost, what is there twice is doubled. Our own
tables are never asked what happened.
"""
