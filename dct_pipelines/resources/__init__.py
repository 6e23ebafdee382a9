"""Dagster resources: what bootstrap builds, in the form that ops, sensors and assets ask for.

Belongs here: thin adapters with typed configuration.
Does not belong here: rules, or a second way to build a client (bootstrap builds).
"""
