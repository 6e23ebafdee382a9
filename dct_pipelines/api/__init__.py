"""REST, WebSocket, authentication, and Dagster's own UI behind our login.

Belongs here: turning a request into a call to the engine, and roles into a yes or no. One file mounts the
Dagster UI; the others do not know Dagster.
Does not belong here: rules or SQL; pages and templates (console).
"""
