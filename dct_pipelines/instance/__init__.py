"""Plug-ins of the Dagster instance: pooled storage, run coordinator, run launcher and its workers, gateway.

Belongs here: subclasses that dagster.yaml names, and the adapter of the engine's port to Dagster.
Does not belong here: knowledge of triggers beyond the tags of a run.
"""
