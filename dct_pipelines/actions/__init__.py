"""One file an action type: its parameters as a model, and what it does through ports.

Belongs here: a module with one constant `ACTION`; its file name is its `kind`. It declares what to do when it
may already have happened.
Does not belong here: clients, SQL, Dagster, retries (engine), branches on `dry_run` (the ports know), or
another action.
"""
