"""Failures and timeouts of triggers, as signs.

Triggers that have fewer executions than say anything by themselves are looked at together, so that a hundred
triggers that fail once each are not overlooked.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from dct_pipelines.domain.counting import counted, span_of
from dct_pipelines.domain.incidents import AlertRule, Sign, Thresholds
from dct_pipelines.domain.trigger import TriggerAlerts
from dct_pipelines.store.database import Row

log = logging.getLogger(__name__)
TOGETHER = "other triggers"
LONGEST_ERROR = 200


def failure_signs(
    ended: Sequence[Row[Any]],
    told: Mapping[UUID, Row[Any]],
    connections: Mapping[UUID, str],
    thresholds: Thresholds,
    window: timedelta,
) -> Iterator[Sign]:
    """What of the executions that ended within the window is out of order.

    `ended` is by trigger; `told` has the names of those that failed and what their manifests say.
    """
    few: list[Row[Any]] = []
    within = f"within {span_of(window)}"
    for row in ended:
        known = told.get(row.trigger_id)
        own = alerts_of(known)
        if not own.enabled:
            continue
        name = known.name if known is not None else str(row.trigger_id)
        via = connections.get(row.connection_id)
        group = f"connection {via}" if via else ""
        timeouts = own.timeouts or thresholds.timeouts
        if row.timed_out and timeouts:
            yield _timeout(name, row, own, timeouts, group, within)
        if row.ended < (own.failure_minimum or thresholds.failure_minimum):
            few.append(row)
            continue
        limit = own.failure_percent or thresholds.failure_percent
        if (sign := _failing(name, [row], limit, within)) is not None:
            yield replace(sign, group=group, channels=own.destinations)
    if sum(row.ended for row in few) >= thresholds.failure_minimum:
        sign = _failing(TOGETHER, few, thresholds.failure_percent, within)
        yield from [sign] if sign is not None else []


def alerts_of(row: Row[Any] | None) -> TriggerAlerts:
    """What a trigger's manifest says of alerts; what holds for all where another release wrote it."""
    if row is None or not row.alerts:
        return TriggerAlerts()
    try:
        return TriggerAlerts.model_validate(row.alerts)
    except ValidationError:
        log.warning("the alerts of trigger %s cannot be read by this release; the settings hold", row.name)
        return TriggerAlerts()


def _timeout(name: str, row: Row[Any], own: TriggerAlerts, limit: int, group: str, within: str) -> Sign:
    count = counted(row.timed_out, "execution")
    they = "it" if row.timed_out == 1 else "they"
    return Sign(
        AlertRule.TIMEOUT,
        name,
        f"{count} of {name} ran longer than {they} may {within}; look what hangs, or raise its "
        "timeout_seconds",
        is_over=row.timed_out >= limit,
        group=group,
        figures={"timed_out": row.timed_out},
        channels=own.destinations,
    )


def _failing(name: str, rows: Sequence[Row[Any]], limit: float, within: str) -> Sign | None:
    """A sign from half of the limit on, so that what swings around it is one incident."""
    ended, failed = sum(row.ended for row in rows), sum(row.failed for row in rows)
    percent = 100 * failed / ended
    if not limit or percent <= limit / 2:
        return None
    errors = [row.error for row in rows if row.error]
    last = f"; the last: {_line(errors[-1])}" if errors else ""
    return Sign(
        AlertRule.FAILURE_RATE,
        name,
        f"{failed} of {counted(ended, 'execution')} of {name} failed {within} ({percent:.0f} %){last}",
        is_over=percent > limit,
        figures={"failed": failed, "ended": ended, "percent": round(percent, 1)},
    )


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_ERROR else f"{line[: LONGEST_ERROR - 1]}…"
