"""Alerts: would anybody hear of an incident, and did what was told arrive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.diagnosis import Told, ok, warn
from dct_pipelines.engine.alerts.unheard import unheard
from dct_pipelines.store.database import Database


def look(database: Database, now: datetime, destinations: Sequence[str]) -> Iterator[Told]:
    """Whether people are told; `destinations` are those that messages go to now."""
    with database.connect() as connection:
        faults = list(unheard(connection, destinations, now))
    for fault in faults:
        yield warn(fault.says, fault.mend)
    if not faults:
        told = counted(len(destinations), "destination")
        yield ok(f"incidents are told to {told}, and every message arrives")
