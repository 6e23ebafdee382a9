"""Dagster sensors: one a provider kind, run reconciliation, alerts.

Belongs here: reading, one call to the engine, run requests. Sensors get their jobs handed in.
Does not belong here: decisions, SQL, or an import of jobs.
"""
