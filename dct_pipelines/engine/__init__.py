"""The services: intake, decide, dispatch, execute, manage, simulate and retention.

Belongs here: what happens between an event and the end of its execution, on the domain's ports.
Does not belong here: Dagster, HTTP, SQL, or the name of a concrete client.
"""
