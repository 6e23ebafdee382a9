"""The pure words of the product: events, conditions' verdicts, triggers, executions, ports.

Belongs here: models, state machines and pure rules, on the standard library and pydantic only.
Does not belong here: anything that reads a clock, a file, a network or a database.
"""
