"""Call budgets: how often each credential was used this minute, and what its provider said about more.

One row for each account and bucket, shared by every process; a call is counted, or refused, by one statement.
The limit is kept over a sliding minute: of the calls of the minute before, that part counts which lies within
the last sixty seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Row, and_, case, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.domain.errors import Throttled
from dct_pipelines.domain.ports import Clock
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.tables import call_budgets

MINUTE = timedelta(minutes=1)


def account_of(kind: str, base: str, credential_ref: str | None) -> str:
    """Whose calls are counted together: one credential at one host, whatever connections use it."""
    host = (urlsplit(base).hostname if "://" in base else None) or base or kind
    return f"{kind} {host} {credential_ref or 'anonymous'}"


@dataclass(frozen=True)
class StoredBudgets:
    """The budget of one account, as the domain's `CallBudget`."""

    database: Database
    account: str
    clock: Clock

    def take(self, bucket: str, limit_per_minute: int | None = None) -> None:
        """Count one call before it is made; `Throttled` says until when there is none left."""
        now = self.clock.now()
        with self.database.begin() as connection:
            if _count(connection, self.account, bucket, limit_per_minute, now):
                return
            row = _row(connection, self.account, bucket)
        until, why = _refused(row, limit_per_minute, now)
        raise Throttled(f"{why}; it goes on at {until:%H:%M:%S} UTC", not_before=until)

    def told(
        self,
        bucket: str,
        *,
        remaining: int | None = None,
        resets_at: datetime | None = None,
        not_before: datetime | None = None,
    ) -> None:
        """Remember what the provider said; the later of two waits holds."""
        said = {"remaining": remaining, "resets_at": resets_at, "not_before": not_before}
        said = {name: value for name, value in said.items() if value is not None}
        if not said:
            return
        row = {"account": self.account, "bucket": bucket, "minute": _minute(self.clock.now())}
        statement = insert(call_budgets).values(**row, **said)
        changes: dict[str, Any] = {name: statement.excluded[name] for name in said}
        if not_before is not None:
            changes["not_before"] = func.greatest(call_budgets.c.not_before, not_before)
        with self.database.begin() as connection:
            connection.execute(
                statement.on_conflict_do_update(index_elements=["account", "bucket"], set_=changes)
            )


@dataclass(frozen=True)
class Spent:
    """How an account's bucket stands. `calls` are of this minute, `calls_before` of the one before."""

    bucket: str
    calls: int
    calls_before: int
    limit_per_minute: int | None
    remaining: int | None
    resets_at: datetime | None
    not_before: datetime | None


def spent(connection: Connection, account: str, now: datetime) -> Sequence[Spent]:
    """Every bucket of an account as it stands now; what is over is left out."""
    statement = select(call_budgets).where(call_budgets.c.account == account)
    return [_spent(row, now) for row in connection.execute(statement.order_by(call_budgets.c.bucket))]


def _spent(row: Row[tuple[object, ...]], now: datetime) -> Spent:
    minute = _minute(now)
    this = row.calls if row.minute >= minute else 0
    before = row.calls_before if row.minute >= minute else row.calls if row.minute == minute - MINUTE else 0
    holds = row.resets_at is not None and row.resets_at > now
    waits = row.not_before is not None and row.not_before > now
    return Spent(
        row.bucket,
        this,
        before,
        row.limit_per_minute,
        row.remaining if holds else None,
        row.resets_at if holds else None,
        row.not_before if waits else None,
    )


def _count(connection: Connection, account: str, bucket: str, limit: int | None, now: datetime) -> bool:
    kept = call_budgets.c
    minute = _minute(now)
    statement = insert(call_budgets).values(
        account=account, bucket=bucket, minute=minute, calls=1, limit_per_minute=limit
    )
    # Clocks of two machines may differ: a minute that somebody else began is this minute.
    is_same = kept.minute >= minute
    before = case((is_same, kept.calls_before), (kept.minute == minute - MINUTE, kept.calls), else_=0)
    calls = case((is_same, kept.calls), else_=0)
    is_known = kept.resets_at > now
    free: list[ColumnElement[bool]] = [
        or_(kept.not_before.is_(None), kept.not_before <= now),
        or_(kept.remaining.is_(None), kept.resets_at.is_(None), kept.resets_at <= now, kept.remaining > 0),
    ]
    if limit is not None:
        free.append(calls + before * (1 - (now - minute) / MINUTE) <= max(limit - 1, 0))
    counted = statement.on_conflict_do_update(
        index_elements=["account", "bucket"],
        set_={
            "minute": func.greatest(kept.minute, minute),
            "calls": calls + 1,
            "calls_before": before,
            "limit_per_minute": limit,
            "remaining": case((is_known, kept.remaining - 1), else_=None),
        },
        where=and_(*free),
    )
    return connection.scalar(counted.returning(kept.calls)) is not None


def _row(connection: Connection, account: str, bucket: str) -> Row[tuple[object, ...]]:
    statement = select(call_budgets).where(call_budgets.c.account == account, call_budgets.c.bucket == bucket)
    return connection.execute(statement).one()


def _refused(row: Row[tuple[object, ...]], limit: int | None, now: datetime) -> tuple[datetime, str]:
    """Until when a call of this bucket has to wait, and why."""
    if row.not_before is not None and row.not_before > now:
        return row.not_before, "the provider asked us to wait"
    if row.remaining is not None and row.remaining <= 0 and row.resets_at is not None and row.resets_at > now:
        return row.resets_at, "the provider takes no more calls"
    return _frees_at(_spent(row, now), limit or 1, now), f"{limit} calls a minute are used up"


def _frees_at(spent: Spent, limit: int, now: datetime) -> datetime:
    """When the sliding minute holds fewer calls than the limit, if nobody makes another one."""
    minute = _minute(now)
    room = max(limit - 1, 0)
    if spent.calls <= room and spent.calls_before:
        free_after = 1 - (room - spent.calls) / spent.calls_before
    else:
        minute += MINUTE
        free_after = 1 - room / max(spent.calls, 1)
    wait = minute + timedelta(seconds=math.ceil(max(free_after, 0) * MINUTE.total_seconds()))
    return max(wait, now + timedelta(seconds=1))


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
