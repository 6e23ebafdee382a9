"""Dagster assets and their checks: metrics of executions and the health of the deployment.

Belongs here: asset definitions over queries that store offers.
Does not belong here: SQL, or anything an execution waits for.
"""
