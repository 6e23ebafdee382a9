"""What is recorded of an action before and after it acts: fenced and written by one statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy import Connection, bindparam, select, text

from dct_pipelines.domain.outcome import Link
from dct_pipelines.domain.words import ResultState
from dct_pipelines.store.executions.reading import lock, stale
from dct_pipelines.store.executions.rows import Result, Step, to_result
from dct_pipelines.store.prepared import Prepared
from dct_pipelines.store.tables import action_results
from dct_pipelines.store.texts import dump_json, mended

_RESULT = action_results.c
_READ = select(action_results).where(_RESULT.execution_id == bindparam("the_execution"))
_RECORD = text(
    """
    WITH locked AS (
        SELECT status, attempt, cancel_requested_at FROM dct.trigger_executions
        WHERE id = :execution_id FOR NO KEY UPDATE
    ), held AS (
        SELECT cancel_requested_at FROM locked WHERE attempt = :attempt AND status = 'running'
    ), written AS (
        INSERT INTO dct.action_results AS r (
            execution_id, action_index, action_type, name, state, attempt, idempotency_key, config,
            summary, outputs, links, error_message, started_at, ended_at
        )
        SELECT
            :execution_id, :action_index, :action_type, :name, :state, :attempt, :idempotency_key, :config,
            :summary, :outputs, :links, :error_message, clock_timestamp(),
            CASE WHEN :state <> 'started' THEN clock_timestamp() END
        FROM held WHERE :state <> 'started' OR cancel_requested_at IS NULL
        ON CONFLICT (execution_id, action_index) DO UPDATE SET
            state = excluded.state, attempt = excluded.attempt, summary = excluded.summary,
            outputs = excluded.outputs, links = excluded.links, error_message = excluded.error_message,
            config = CASE WHEN excluded.state = 'started' THEN excluded.config ELSE r.config END,
            started_at = CASE WHEN excluded.state = 'started' THEN excluded.started_at ELSE r.started_at END,
            ended_at = excluded.ended_at
    )
    SELECT cancel_requested_at FROM held
    """
).bindparams(*(bindparam(column.name, type_=column.type) for column in _RESULT if "_at" not in column.name))


@cache
def _record() -> Prepared:
    return Prepared("record_result", _RECORD)


@dataclass(frozen=True)
class Recorded:
    """What is recorded now; None when the action was not to start because somebody has asked to stop."""

    result: Result | None
    is_cancel_requested: bool


def read(connection: Connection, execution_id: UUID) -> dict[int, Result]:
    """Every result of the execution so far, by the index of its action."""
    rows = connection.execute(_READ, {"the_execution": execution_id})
    return {row.action_index: to_result(row) for row in rows}


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
) -> Recorded:
    """Insert or update how the action stands; StaleAttempt when the attempt holds the execution no more.

    `config` is as rendered; it is written when the action starts. Nothing starts once somebody asked to stop.
    What comes back is as stored, so that this attempt goes on with the same texts as a later one would.
    """
    kept: dict[str, Any] = from_json(dump_json(outputs or {}))
    summary = mended(summary)
    values = {
        "execution_id": execution_id,
        "attempt": attempt,
        "action_index": index,
        "action_type": step.type,
        "name": step.name,
        "idempotency_key": key,
        "state": state,
        "config": dict(config or {}),
        "summary": summary,
        "outputs": kept,
        "links": [link.model_dump(mode="json") for link in links],
        "error_message": error_message,
    }
    held = _record().one(connection, values)
    if held is None:
        raise stale(lock(connection, execution_id), attempt)
    is_cancelled = held["cancel_requested_at"] is not None
    result = Result(
        index,
        step.type,
        step.name,
        state,
        attempt,
        summary,
        kept,
        tuple(links),
        error_message,
    )
    is_refused = is_cancelled and state is ResultState.STARTED
    return Recorded(None if is_refused else result, is_cancelled)
