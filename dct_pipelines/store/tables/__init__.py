"""The tables of schema `dct`, as SQLAlchemy Core. Alembic migrations follow them; `dct db verify` compares.

Names and columns that users' tools know are those of the design (docs/reference/tables.md). State that
changes at every poll never lives inside configuration JSON.
"""

from dct_pipelines.store.tables.alerts import alert_messages, incidents
from dct_pipelines.store.tables.base import metadata
from dct_pipelines.store.tables.executions import (
    action_results,
    execution_attempts,
    leases,
    shapes,
    trigger_executions,
)
from dct_pipelines.store.tables.operations import (
    agents,
    channels,
    checks,
    deployments,
    environments,
    test_suites,
    workspace_drafts,
    workspaces,
)
from dct_pipelines.store.tables.people import activity, api_tokens, audit_log, sessions, users
from dct_pipelines.store.tables.quotas import quotas, slots
from dct_pipelines.store.tables.telemetry import telemetry_cursors, telemetry_totals
from dct_pipelines.store.tables.triggers import (
    decisions,
    dynamic_context_triggers,
    trigger_actions,
    trigger_conditions,
    trigger_firings,
    trigger_items,
    trigger_versions,
)
from dct_pipelines.store.tables.watching import (
    call_budgets,
    connection_cursors,
    connection_reads,
    connections,
    context_library,
    credential_ends,
    dead_letters,
    event_keys,
    events,
    intake_order,
    item_cursors,
    item_timers,
    own_writes,
    snapshots,
)

__all__ = [
    "action_results",
    "activity",
    "agents",
    "alert_messages",
    "api_tokens",
    "audit_log",
    "call_budgets",
    "channels",
    "checks",
    "connection_cursors",
    "connection_reads",
    "connections",
    "context_library",
    "credential_ends",
    "dead_letters",
    "decisions",
    "deployments",
    "dynamic_context_triggers",
    "environments",
    "event_keys",
    "events",
    "execution_attempts",
    "incidents",
    "intake_order",
    "item_cursors",
    "item_timers",
    "leases",
    "metadata",
    "own_writes",
    "quotas",
    "sessions",
    "shapes",
    "slots",
    "snapshots",
    "telemetry_cursors",
    "telemetry_totals",
    "test_suites",
    "trigger_actions",
    "trigger_conditions",
    "trigger_executions",
    "trigger_firings",
    "trigger_items",
    "trigger_versions",
    "users",
    "workspace_drafts",
    "workspaces",
]
