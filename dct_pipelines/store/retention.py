"""What is old and may go, table by table; `store/deleting.py` deletes it.

A rule names the table, the indexed column by which its rows grow old, and what is spared because something
live refers to it. Rows that somebody else has locked are left for the next time. Events and decisions go by
their month instead (`store/partitions.py`).

A batch looks at some rows and never at a whole table, however wrong the planner's numbers are: what may
refer to a row is looked up by an index (`is_there`), and where there is none it is gathered once (`Kept`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Table,
    and_,
    exists,
    false,
    func,
    literal_column,
    or_,
    select,
)

from dct_pipelines.domain.execution import FINAL
from dct_pipelines.domain.words import DeploymentState, WorkspaceState
from dct_pipelines.store.tables import (
    action_results,
    activity,
    checks,
    connection_reads,
    dead_letters,
    deployments,
    environments,
    event_keys,
    events,
    execution_attempts,
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
class Kept:
    """Rows of a rule's table that are spared, by the columns `key`: what `question` answers, asked once.

    For references that no index finds, and that an index would make dearer to write for everybody. What
    comes to refer to something old while its rows are being deleted comes too late, as a moment later.
    """

    key: tuple[str, ...]
    question: str
    """SQL; `:before` is the cut. INTERSECT, because each side is read once whatever the planner believes."""


@dataclass(frozen=True)
class Rule:
    """Rows of `table` whose `by` is before the cut go, but for the spared and kept ones.

    `along` are tables whose rows of the same execution go in the same transaction. Where nobody else needs
    an index on `by`, there is none: the table `is_walked`, page after page.
    """

    table: Table
    by: Column[Any]
    cut: Cut
    spared: ColumnElement[bool] = field(default_factory=false)
    kept: Kept | None = None
    along: tuple[Table, ...] = ()
    is_walked: bool = False


_EXECUTION = trigger_executions.c
_LATER = deployments.alias("later")


def is_there(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether another table has such a row, looked up by an index for each row.

    OFFSET 0 keeps the planner from joining instead, which may read all of the other table for each batch.
    """
    return exists(select(literal_column("1")).where(*conditions).offset(literal_column("0")))


def _is_current(deployment: Any) -> ColumnElement[bool]:
    """Whether it is what its environment runs: succeeded, and none that succeeded is later."""
    ended = func.coalesce(deployment.ended_at, deployment.started_at)
    later = is_there(
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
            is_there(
                workspaces.c.execution_id == _EXECUTION.id, workspaces.c.state != WorkspaceState.ARCHIVED
            ),
            is_there(slots.c.execution_id == _EXECUTION.id),
            is_there(deployments.c.execution_id == _EXECUTION.id, _is_current(deployments.c)),
        ),
        along=(action_results, execution_attempts, deployments),
    ),
)
SNAPSHOTS = (
    Rule(
        snapshots,
        snapshots.c.to_seq,
        Cut.SEQ,
        spared=is_there(events.c.seq >= snapshots.c.from_seq, events.c.seq < snapshots.c.to_seq),
    ),
)
KEYS = (
    Rule(
        event_keys,
        event_keys.c.created_at,
        Cut.KEYS,
        spared=is_there(events.c.id == event_keys.c.event_id),
    ),
    Rule(
        trigger_firings,
        trigger_firings.c.created_at,
        Cut.KEYS,
        # A branch that stays ready is decided again each time its target moves: its firing is still needed.
        kept=Kept(
            ("trigger_id", "once_key"),
            "SELECT trigger_id, once_key FROM dct.decisions INTERSECT"
            " SELECT trigger_id, once_key FROM dct.trigger_firings WHERE created_at < :before",
        ),
    ),
)
TRACES = (
    Rule(activity, activity.c.at, Cut.DAYS),
    Rule(dead_letters, dead_letters.c.last_received_at, Cut.DAYS, is_walked=True),
    Rule(connection_reads, connection_reads.c.hour, Cut.DAYS),
    Rule(
        own_writes,
        own_writes.c.created_at,
        Cut.DAYS,
        spared=is_there(_EXECUTION.id == own_writes.c.execution_id, _EXECUTION.status.not_in(FINAL)),
    ),
    Rule(
        checks,
        checks.c.reported_at,
        Cut.DAYS,
        # A condition looks at the checks of what a branch or an environment stands at, however old they are.
        spared=exists().where(environments.c.current_commit == checks.c.commit),
        kept=Kept(
            ("repository_item_id", "commit"),
            "SELECT item_id, state ->> 'head' FROM dct.snapshots WHERE to_seq IS NULL INTERSECT"
            " SELECT repository_item_id, commit FROM dct.checks WHERE reported_at < :before",
        ),
        is_walked=True,
    ),
    Rule(sessions, sessions.c.expires_at, Cut.NOW, is_walked=True),
)
