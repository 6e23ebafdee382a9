"""Connections as signs: down, told to wait for ever, with items that cannot be read, or read by nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dct_pipelines.domain.counting import length_of
from dct_pipelines.domain.incidents import AlertRule, Sign
from dct_pipelines.engine.reading import DOWN_AFTER_FAILURES
from dct_pipelines.store.database import Row

SILENT_FOR = timedelta(hours=1)
INTERVALS = 3


@dataclass(frozen=True)
class Silence:
    """For how long nothing may be read of a connection: an hour, or thrice its interval where that is longer.

    A provider that asks to wait again and again has done nothing wrong, and neither have we: no failure is
    counted, and the connection is never due. All the same nobody hears what happens there.
    `usual_seconds` is the interval of a kind, `paused_at` when the deployment was restored: before, nobody
    could read. Nor counts the time before it became as it is: nobody may have asked then.
    """

    usual_seconds: Callable[[str], float]
    paused_at: datetime | None
    now: datetime

    def of(self, row: Row[Any]) -> timedelta | None:
        """For how long nothing was read, if that is too long."""
        since = max(filter(None, (row.last_ok_at or row.updated_at, row.health_since, self.paused_at)))
        silent = self.now - since
        if silent <= SILENT_FOR:
            return None
        interval = row.interval_seconds or self.usual_seconds(row.kind)
        return silent if silent > timedelta(seconds=INTERVALS * interval) else None


def connection_signs(connections: Sequence[Row[Any]], silence: Silence) -> Iterator[Sign]:
    """A connection that is down has failed three times in a row, or its credential was refused.

    One that is told to wait and was not read for long is as good as down.
    """
    for row in connections:
        is_down = row.consecutive_failures >= DOWN_AFTER_FAILURES
        if not is_down and row.not_before is not None and (silent := silence.of(row)) is not None:
            yield _told_to_wait(row, silent, silence.now)
        elif row.consecutive_failures:
            yield Sign(
                AlertRule.CONNECTION,
                row.name,
                f"Connection {row.name} ({row.kind}) is down: {row.health_detail or 'no answer'}",
                is_over=is_down,
                group=group_of(row.name),
                figures={"failures": row.consecutive_failures},
            )


def _told_to_wait(row: Row[Any], silent: timedelta, now: datetime) -> Sign:
    """Between two pauses, for a moment, it may be read: that opens nothing, and ends nothing."""
    last = f"since {row.last_ok_at:%Y-%m-%d %H:%M} UTC" if row.last_ok_at is not None else "yet"
    why = row.health_detail or "no reason is known"
    return Sign(
        AlertRule.CONNECTION,
        row.name,
        f"Connection {row.name} ({row.kind}) is told to wait until {row.not_before:%H:%M} UTC, and nothing "
        f"was read {last}: {why}; read it less often (`poll_interval_seconds`), or see who else uses up "
        "the limits of its credential",
        is_over=row.not_before > now,
        group=group_of(row.name),
        figures={
            "not_before": row.not_before.isoformat(),
            "last_ok_at": row.last_ok_at.isoformat() if row.last_ok_at is not None else None,
            "silent_seconds": round(silent.total_seconds()),
        },
    )


def unreadable_signs(items: Sequence[Row[Any]]) -> Iterator[Sign]:
    """An item that could not be read three times in a row, or of which the provider says that it is gone.

    Its connection is well: without its items nothing happens there all the same. The subject has a slash,
    which no name has, so that an item is never taken for a connection.
    """
    for row in items:
        is_said = row.consecutive_failures == 0
        yield Sign(
            AlertRule.CONNECTION,
            f"{row.connection}/{row.item}",
            f"Item {row.item} of connection {row.connection} ({row.kind}) cannot be read: "
            f"{row.detail or 'no reason is known'}",
            is_over=is_said or row.consecutive_failures >= DOWN_AFTER_FAILURES,
            group=group_of(row.connection),
            figures={"item": row.item, "failures": row.consecutive_failures},
        )


def listener_signs(overdue: Sequence[Row[Any]], limit_seconds: float, now: datetime) -> Iterator[Sign]:
    """A sign for each connection that is overdue."""
    for row in overdue:
        late = now - row.due_at
        how = f"for {length_of(late)} and nobody reads it"
        if late <= timedelta(seconds=limit_seconds):
            how = f"again and again, and was read last at {row.last_ok_at:%Y-%m-%d %H:%M} UTC"
        yield Sign(
            AlertRule.LISTENER,
            row.name,
            f"Connection {row.name} ({row.kind}) is due {how}; is its sensor {row.kind}_listener running?",
            group=group_of(row.name),
            figures={"due_at": row.due_at.isoformat(), "late_seconds": round(late.total_seconds())},
        )


def overdue(connections: Sequence[Row[Any]], limit_seconds: float, silence: Silence) -> list[Row[Any]]:
    """Connections that are due for longer than that. Before a restore nobody could read them.

    A webhook has its connection due anew each time: what was read never since for long is overdue as well.
    """
    now, paused_at = silence.now, silence.paused_at
    since = now - timedelta(seconds=limit_seconds)
    if paused_at is not None and paused_at >= since:
        return []
    return [row for row in connections if row.due_at < since or _is_hastened(row, silence)]


def _is_hastened(row: Row[Any], silence: Silence) -> bool:
    """Whether it is due, was read before, and is not any more, though nobody asked to wait."""
    is_due = row.due_at <= silence.now and row.not_before is None
    return is_due and row.last_ok_at is not None and silence.of(row) is not None


def group_of(connection: str) -> str:
    """What incidents of one connection have in common."""
    return f"connection {connection}"
