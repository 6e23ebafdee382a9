"""When each step of maintenance was done, and what it deleted: in the audit log, because history went."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, DateTime, cast, func, select

from dct_pipelines.store.definitions import people
from dct_pipelines.store.tables import audit_log, connections, users

KIND = "maintenance"
"""Who acts in the audit log, and what it calls the object, whose name is the step's."""
FACTS = "facts"
"""Kind and name of what retention deletes by age, in the audit log."""


def note(connection: Connection, step: str, deleted: Mapping[str, int], seconds: float) -> None:
    """Say that a step was done."""
    people.audit(connection, KIND, "maintain", KIND, step, {"deleted": dict(deleted), "seconds": seconds})


def note_cutoff(connection: Connection, before: datetime) -> None:
    """Say that what happened before then is about to be deleted."""
    people.audit(connection, KIND, "delete", FACTS, FACTS, {"before": before.isoformat()})


def last_cutoff(connection: Connection) -> datetime | None:
    """The latest moment before which what happened was ever deleted, or begun to be."""
    log = audit_log.c
    noted = cast(log.detail["before"].astext, DateTime(timezone=True))
    found: datetime | None = connection.scalar(select(func.max(noted)).where(log.object_kind == FACTS))
    return found


def last_done(connection: Connection) -> dict[str, datetime]:
    """When each step was done last, of those that ever were."""
    log = audit_log.c
    statement = select(log.object_name, func.max(log.at)).where(log.object_kind == KIND)
    return {row[0]: row[1] for row in connection.execute(statement.group_by(log.object_name))}


def begun_at(connection: Connection) -> datetime | None:
    """When the deployment was made, as far as its first connection and user tell."""
    first = [select(func.min(one.c.created_at)).scalar_subquery() for one in (connections, users)]
    moment: datetime | None = connection.scalar(select(func.least(*first)))
    return moment
