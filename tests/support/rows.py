"""Rows of executions without a database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from dct_pipelines.domain.execution import ExecutionState, TriggeredBy
from dct_pipelines.domain.trigger import ResourceLimits
from dct_pipelines.store.executions.rows import Execution

EXECUTION_ID = UUID(int=7)


def make_execution(status: ExecutionState, attempt: int) -> Execution:
    """An execution without actions, at that attempt."""
    values: dict[str, Any] = dict.fromkeys(Execution.__dataclass_fields__)
    values |= {"id": EXECUTION_ID, "status": status, "attempt": attempt, "triggered_by": TriggeredBy.EVENT}
    values |= {"limits": ResourceLimits(), "created_at": datetime.now(UTC), "steps": (), "tried_before": 0}
    return Execution(**values)
