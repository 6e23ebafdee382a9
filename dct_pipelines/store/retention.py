"""What is old and may go, table by table, and deleting it in small transactions, oldest first.

A rule names the table, the indexed column by which its rows grow old, and what is spared because something
live refers to it. Rows that somebody else has locked are left for the next time. Events and decisions go by
their month instead (`store/partitions.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    any_,
    delete,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from dct_pipelines.domain.execution import FINAL
from dct_pipelines.domain.words import DeploymentState, WorkspaceState
from dct_pipelines.store.tables import (
    action_results,
    activity,
    checks,
    connection_reads,
    dead_letters,
    decisions,
    deployments,
    environments,
    event_keys,
    events,
    execution_attempts,
    intake_order,
    own_writes,
    sessions,
    slots,
    snapshots,
    trigger_executions,
    trigger_firings,
    workspaces,
)


class Cut(StrEnum):
    """Which moment, or place in the order of events, separates the old from the rest."""

    DAYS = "days"
    KEYS = "keys"
    NOW = "now"
    SEQ = "seq"


@dataclass(frozen=True)
class Rule:
    """Rows of `table` whose `by` is before the cut go, but for the spared ones.

    `along` are tables whose rows of the same execution go in the same transaction.
    """

    table: Table
    by: Column[Any]
    cut: Cut
    spared: ColumnElement[bool] = field(default_factory=false)
    along: tuple[Table, ...] = ()


_EXECUTION = trigger_executions.c
_LATER = deployments.alias("later")


def _is_current(deployment: Any) -> ColumnElement[bool]:
    """Whether it is what its environment runs: succeeded, and none that succeeded is later."""
    ended = func.coalesce(deployment.ended_at, deployment.started_at)
    later = exists().where(
        _LATER.c.environment == deployment.environment,
        _LATER.c.state == DeploymentState.SUCCEEDED,
        func.coalesce(_LATER.c.ended_at, _LATER.c.started_at) > ended,
    )
    return and_(deployment.state == DeploymentState.SUCCEEDED, ~later)


EXECUTIONS = (
    Rule(
        trigger_executions,
        _EXECUTION.completed_at,
        Cut.DAYS,
        spared=or_(
            _EXECUTION.status.not_in(FINAL),
            exists().where(
                workspaces.c.execution_id == _EXECUTION.id, workspaces.c.state != WorkspaceState.ARCHIVED
            ),
            exists().where(slots.c.execution_id == _EXECUTION.id),
            exists().where(deployments.c.execution_id == _EXECUTION.id, _is_current(deployments.c)),
        ),
        along=(action_results, execution_attempts, deployments),
    ),
)
SNAPSHOTS = (
    Rule(
        snapshots,
        snapshots.c.to_seq,
        Cut.SEQ,
        spared=exists().where(events.c.seq >= snapshots.c.from_seq, events.c.seq < snapshots.c.to_seq),
    ),
)
KEYS = (
    Rule(
        event_keys,
        event_keys.c.created_at,
        Cut.KEYS,
        spared=exists().where(events.c.id == event_keys.c.event_id),
    ),
    Rule(
        trigger_firings,
        trigger_firings.c.created_at,
        Cut.KEYS,
        # A branch that stays ready is decided again each time its target moves: its firing is still needed.
        spared=exists().where(
            decisions.c.trigger_id == trigger_firings.c.trigger_id,
            decisions.c.once_key == trigger_firings.c.once_key,
        ),
    ),
)
TRACES = (
    Rule(activity, activity.c.at, Cut.DAYS),
    Rule(dead_letters, dead_letters.c.last_received_at, Cut.DAYS),
    Rule(connection_reads, connection_reads.c.hour, Cut.DAYS),
    Rule(
        own_writes,
        own_writes.c.created_at,
        Cut.DAYS,
        spared=exists().where(_EXECUTION.id == own_writes.c.execution_id, _EXECUTION.status.not_in(FINAL)),
    ),
    Rule(
        checks,
        checks.c.reported_at,
        Cut.DAYS,
        # A condition looks at the checks of what a branch or an environment stands at, however old they are.
        spared=or_(
            exists().where(
                snapshots.c.item_id == checks.c.repository_item_id,
                snapshots.c.to_seq.is_(None),
                snapshots.c.state["head"].astext == checks.c.commit,
            ),
            exists().where(environments.c.current_commit == checks.c.commit),
        ),
    ),
    Rule(sessions, sessions.c.expires_at, Cut.NOW),
)


@dataclass(frozen=True)
class Batch:
    """What one batch deleted, by table, and the `by` of its last row; None when there was nothing more."""

    deleted: Mapping[str, int]
    last: Any


def oldest_kept_seq(connection: Connection, month: Any) -> int:
    """The first event of the months that are kept; without one, the next that will come."""
    first = connection.scalar(select(func.min(events.c.seq)).where(events.c.observed_at >= month))
    return first or connection.scalar(select(intake_order.c.next_seq)) or 1


def delete_batch(connection: Connection, rule: Rule, before: Any, since: Any, limit: int) -> Batch:
    """Delete the oldest `limit` rows from `since` on (None: all) that may go."""
    if rule.along:
        return _with_executions(connection, rule, before, since, limit)
    place: ColumnElement[Any] = literal_column(f"{rule.table.fullname}.ctid")
    old = _old(rule, before, since, [place.label("place")], limit).cte("old")
    gone = delete(rule.table).where(place.in_(select(old.c.place))).returning(rule.by).cte("gone")
    count, last = connection.execute(select(func.count(), func.max(gone.c[rule.by.name]))).one()
    return Batch({rule.table.name: count} if count else {}, last)


def count_old(connection: Connection, rule: Rule, before: Any) -> int:
    """How many rows the rule would let go."""
    statement = select(func.count()).select_from(rule.table).where(rule.by < before, ~rule.spared)
    return connection.scalar(statement) or 0


def _with_executions(connection: Connection, rule: Rule, before: Any, since: Any, limit: int) -> Batch:
    """By their ids: a plan for `= ANY` looks into the index, whatever it thinks of the number of rows."""
    found = connection.execute(_old(rule, before, since, [trigger_executions.c.id, rule.by], limit)).all()
    if not found:
        return Batch({}, None)
    ids = [row.id for row in found]
    gone = {}
    for table in rule.along:
        gone[table.name] = connection.execute(delete(table).where(_among(table.c.execution_id, ids))).rowcount
    gone[rule.table.name] = connection.execute(
        delete(rule.table).where(_among(rule.table.c.id, ids))
    ).rowcount
    return Batch({name: count for name, count in gone.items() if count}, found[-1][1])


def _old(rule: Rule, before: Any, since: Any, columns: Sequence[Any], limit: int) -> Select[Any]:
    statement = select(*columns).where(rule.by < before, ~rule.spared)
    if since is not None:
        statement = statement.where(rule.by >= since)
    return statement.order_by(rule.by).limit(limit).with_for_update(skip_locked=True, of=rule.table)


def _among(column: Column[Any], ids: Sequence[UUID]) -> ColumnElement[bool]:
    return column == any_(literal(list(ids), ARRAY(column.type)))
