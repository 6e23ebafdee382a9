"""What is recorded of an action before and after it acts. The caller has fenced its attempt off before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.domain.outcome import Link, ResultState
from dct_pipelines.store.executions.rows import Result, Step, to_result
from dct_pipelines.store.tables import action_results

_RESULT = action_results.c


def read(connection: Connection, execution_id: UUID) -> dict[int, Result]:
    """Every result of the execution so far, by the index of its action."""
    statement = select(action_results).where(_RESULT.execution_id == execution_id)
    return {row.action_index: to_result(row) for row in connection.execute(statement)}


def record(
    connection: Connection,
    execution_id: UUID,
    attempt: int,
    index: int,
    step: Step,
    *,
    key: str,
    state: ResultState,
    config: Mapping[str, Any] | None = None,
    summary: str = "",
    outputs: Mapping[str, Any] | None = None,
    links: Sequence[Link] = (),
    error_message: str | None = None,
) -> None:
    """Insert or update how the action stands. `config` is as rendered, and kept when it is not given."""
    now = func.clock_timestamp()
    changes: dict[str, Any] = {
        "state": state,
        "attempt": attempt,
        "summary": summary,
        "outputs": dict(outputs or {}),
        "links": [link.model_dump(mode="json") for link in links],
        "error_message": error_message,
        "ended_at": None if state is ResultState.STARTED else now,
    }
    if config is not None:
        changes["config"] = dict(config)
    fresh = insert(action_results).values(
        execution_id=execution_id,
        action_index=index,
        action_type=step.type,
        name=step.name,
        idempotency_key=key,
        started_at=now,
        **changes,
    )
    if state is ResultState.STARTED:
        changes["started_at"] = now
    connection.execute(
        fresh.on_conflict_do_update(index_elements=["execution_id", "action_index"], set_=changes)
    )
