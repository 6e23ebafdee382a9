"""Lease rows: who holds what. A lease lives as long as the attempt that took it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, and_, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.store.executions.reading import LIVE, heartbeat_is_stale
from dct_pipelines.store.tables import execution_attempts, leases, trigger_executions

_LEASE = leases.c
_ATTEMPT = execution_attempts.c


@dataclass(frozen=True)
class Holder:
    """Who holds a lease. `is_live`: its attempt works, `is_stale`: but has given no sign of life for long."""

    execution_id: UUID
    attempt: int
    is_live: bool
    is_stale: bool


def take_free(connection: Connection, key: str, execution_id: UUID, attempt: int) -> bool:
    """Take the lease if nobody has it; True when it is (or already was) this attempt's."""
    statement = insert(leases).values(key=key, execution_id=execution_id, attempt=attempt)
    mine = and_(_LEASE.execution_id == execution_id, _LEASE.attempt == attempt)
    kept = statement.on_conflict_do_update(index_elements=["key"], set_={"attempt": attempt}, where=mine)
    return connection.execute(kept.returning(_LEASE.key)).one_or_none() is not None


def holder(connection: Connection, key: str, stale_seconds: float) -> Holder | None:
    """Who holds the lease, locked until the end of the transaction; None when it is free again."""
    of_lease = and_(_ATTEMPT.execution_id == _LEASE.execution_id, _ATTEMPT.attempt == _LEASE.attempt)
    statement = (
        select(
            _LEASE.execution_id,
            _LEASE.attempt,
            _ATTEMPT.state.in_(LIVE).label("is_live"),
            heartbeat_is_stale(stale_seconds).label("is_stale"),
        )
        .join(execution_attempts, of_lease)
        .where(_LEASE.key == key)
        .with_for_update(of=leases)
    )
    row = connection.execute(statement).one_or_none()
    return Holder(row.execution_id, row.attempt, row.is_live, row.is_stale) if row is not None else None


def hand_over(connection: Connection, key: str, execution_id: UUID, attempt: int) -> None:
    """Give the lease to this attempt; its holder is over or was fenced off in this same transaction."""
    taken = {"execution_id": execution_id, "attempt": attempt, "acquired_at": func.clock_timestamp()}
    connection.execute(
        insert(leases).values(key=key, **taken).on_conflict_do_update(index_elements=["key"], set_=taken)
    )


def give_back(connection: Connection, keys: Sequence[str], execution_id: UUID, attempt: int) -> None:
    """Free these leases if they are this attempt's."""
    connection.execute(
        delete(leases).where(
            _LEASE.key.in_(keys), _LEASE.execution_id == execution_id, _LEASE.attempt == attempt
        )
    )


def free_orphans(connection: Connection) -> list[str]:
    """Free every lease whose attempt is over or was overtaken, and say which they were."""
    working = exists().where(
        _ATTEMPT.execution_id == _LEASE.execution_id,
        _ATTEMPT.attempt == _LEASE.attempt,
        _ATTEMPT.state.in_(LIVE),
        trigger_executions.c.id == _LEASE.execution_id,
        trigger_executions.c.attempt == _LEASE.attempt,
    )
    return list(connection.scalars(delete(leases).where(~working).returning(_LEASE.key)))


def renew(connection: Connection, execution_id: UUID, attempt: int, run_id: str) -> str | None:
    """Renew the attempt's sign of life, by which its leases live too.

    Returns `held`, `cancelled` when somebody asked to stop the execution, or None when the attempt is over.
    """
    execution = trigger_executions.c
    statement = (
        update(execution_attempts)
        .where(
            _ATTEMPT.execution_id == execution_id,
            _ATTEMPT.attempt == attempt,
            _ATTEMPT.run_id == run_id,
            _ATTEMPT.state == "running",
            execution.id == _ATTEMPT.execution_id,
            execution.attempt == _ATTEMPT.attempt,
        )
        .values(heartbeat_at=func.clock_timestamp())
        .returning(execution.cancel_requested_at)
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        return None
    return "held" if row.cancel_requested_at is None else "cancelled"
