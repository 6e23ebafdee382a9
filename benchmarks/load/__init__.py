"""The load benchmarks: workload W on a whole deployment, measured from outside of it.

A source and a sink run in a process of their own (`outside`). K items change at the source; a listener
plug-in (`benchsource`) reads all changes by one call; each change fires a trigger whose three actions are one
POST each to the sink. Times are the sink's and the database's commit timestamps, processor time and memory
are the kernel's: the deployment is never asked how fast it is.
"""
