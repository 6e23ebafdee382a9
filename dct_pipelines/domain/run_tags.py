"""Tags of a Dagster run by which its queue counts. A run carries those that apply to its execution."""

from __future__ import annotations

TRIGGER = "dct/trigger"
"""The trigger's name."""
ENVIRONMENT = "dct/environment"
"""The environment that it deploys to: one run at a time for each."""
LINE = "dct/line"
"""Trigger and subject of an execution that keeps the order of its item: one run at a time for each."""
AGENT = "dct/agent"
"""It starts agents; the value is how many."""
AGENT_CLASS = "dct/agent_class"
"""Of one that starts agents: `standard` or `high`."""
WORKSPACE = "dct/workspace"
"""It opens workspaces; the value is how many."""
