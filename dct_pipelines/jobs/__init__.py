"""Dagster ops and jobs: an op for each action type, a job for each shape, maintenance and schedules.

Belongs here: the translation between a run and an attempt of an execution.
Does not belong here: what an action does (actions) or what an attempt may do (engine).
"""
