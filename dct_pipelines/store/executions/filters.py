"""What several statements ask of executions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, func

from dct_pipelines.domain.execution import HOLDING
from dct_pipelines.store.tables import trigger_executions

IS_HOLDING = trigger_executions.c.status.in_(HOLDING)
"""Whether an execution has a slot: dispatched, running or compensating."""


def older_than(column: ColumnElement[Any], seconds: float) -> ColumnElement[bool]:
    """Whether that moment, which must not be NULL, lies more than `seconds` back by the database's clock.

    Time in which the database was down does not count: nobody could have renewed anything then.
    """
    since = func.greatest(column, func.pg_postmaster_start_time(), type_=DateTime(timezone=True))
    return since < func.clock_timestamp(type_=DateTime(timezone=True)) - timedelta(seconds=seconds)
