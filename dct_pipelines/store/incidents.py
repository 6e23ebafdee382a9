"""Incidents as rows: what is live, what an evaluation makes of it, and what people do with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    String,
    cast,
    delete,
    func,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from dct_pipelines.domain.incidents import Incident, IncidentState, Sign
from dct_pipelines.store.tables import incidents

EVALUATION_LOCK = 7_266_014
"""Advisory lock, until the commit, of whoever evaluates: one process at a time."""
_I = incidents.c
_IS_LIVE = _I.state != IncidentState.RESOLVED
_TOLD = _I.state.in_((IncidentState.OPEN, IncidentState.ACKNOWLEDGED))


def lock(connection: Connection) -> bool:
    """Be the one that evaluates, until the commit; False when somebody else is."""
    return bool(connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": EVALUATION_LOCK}))


def live(connection: Connection) -> list[Incident]:
    """Everything that is suspected, open or acknowledged."""
    return [_incident(row) for row in connection.execute(select(incidents).where(_IS_LIVE))]


def resolved_by_hand(connection: Connection, since: datetime) -> set[tuple[str, str]]:
    """Rules and subjects of incidents that people resolved since then."""
    wanted = (_I.state == IncidentState.RESOLVED, _I.resolved_at >= since, _I.resolved_by.is_not(None))
    return {(row.rule, row.subject) for row in connection.execute(select(_I.rule, _I.subject).where(*wanted))}


def write(connection: Connection, sign: Sign, state: IncidentState, now: datetime) -> Incident:
    """Suspect or open an incident; one that is suspected already is opened, or suspected anew."""
    seen = {
        "state": state,
        "group_name": sign.group,
        "text": sign.text,
        "figures": dict(sign.figures),
        "last_seen_at": now,
        "opened_at": now if state is IncidentState.OPEN else None,
    }
    made = insert(incidents).values(rule=sign.rule, subject=sign.subject, first_seen_at=now, **seen)
    again = {"first_seen_at": now} if state is IncidentState.SUSPECTED else {}
    kept = made.on_conflict_do_update(
        index_elements=["rule", "subject"], index_where=text("state <> 'resolved'"), set_=seen | again
    )
    return _incident(connection.execute(kept.returning(incidents)).one())


def keep(connection: Connection, incident: Incident, sign: Sign, now: datetime) -> None:
    """It is seen still. What it says and how bad it is are those of now, while it is bad."""
    told = {"text": sign.text, "figures": dict(sign.figures)} if sign.is_over else {}
    kept = update(incidents).where(_I.id == incident.id)
    connection.execute(kept.values(last_seen_at=now, well_since=None, **told))


def calm(connection: Connection, incident_ids: Sequence[UUID], now: datetime) -> None:
    """Their signs are gone for the first time."""
    if incident_ids:
        connection.execute(update(incidents).where(_I.id.in_(incident_ids)).values(well_since=now))


def resolve(
    connection: Connection, incident_ids: Sequence[UUID], now: datetime, by: str | None = None
) -> list[Incident]:
    """End them; those that have ended meanwhile are left out."""
    if not incident_ids:
        return []
    ended = update(incidents).where(_I.id.in_(incident_ids), _TOLD)
    changed = {"state": IncidentState.RESOLVED, "resolved_at": now, "resolved_by": by}
    return [_incident(row) for row in connection.execute(ended.values(**changed).returning(incidents))]


def forget(connection: Connection, incident_ids: Sequence[UUID]) -> None:
    """They were suspected only."""
    if incident_ids:
        connection.execute(delete(incidents).where(_I.id.in_(incident_ids)))


def acknowledge(
    connection: Connection, incident_ids: Sequence[UUID], now: datetime, by: str
) -> list[Incident]:
    """Somebody looks after them; returns those that were open until now."""
    if not incident_ids:
        return []
    taken = update(incidents).where(_I.id.in_(incident_ids), _I.state == IncidentState.OPEN)
    changed = {"state": IncidentState.ACKNOWLEDGED, "acknowledged_at": now, "acknowledged_by": by}
    return [_incident(row) for row in connection.execute(taken.values(**changed).returning(incidents))]


def prune(connection: Connection, before: datetime) -> None:
    """Throw away what was resolved before then."""
    connection.execute(delete(incidents).where(_I.state == IncidentState.RESOLVED, _I.resolved_at < before))


def latest(connection: Connection, *, with_resolved: bool, limit: int) -> list[Incident]:
    """Incidents that are not resolved, or all, the newest first."""
    wanted: ColumnElement[bool] = or_(_TOLD, _I.state == IncidentState.RESOLVED) if with_resolved else _TOLD
    statement = select(incidents).where(wanted).order_by(_I.opened_at.desc(), _I.subject).limit(limit)
    return [_incident(row) for row in connection.execute(statement)]


def count_by_state(connection: Connection) -> dict[str, int]:
    """How many are open, and how many acknowledged."""
    statement = select(_I.state, func.count()).where(_TOLD, _IS_LIVE).group_by(_I.state)
    return {row[0]: row[1] for row in connection.execute(statement)}


def with_prefix(connection: Connection, prefix: str) -> list[Incident]:
    """Incidents whose id begins so, at most two."""
    begins = cast(_I.id, String).startswith(prefix.lower(), autoescape=True)
    statement = select(incidents).where(begins, _I.state != IncidentState.SUSPECTED).limit(2)
    return [_incident(row) for row in connection.execute(statement)]


def _incident(row: Row[Any]) -> Incident:
    values = dict(row._mapping)
    return Incident(group=values.pop("group_name"), **values)


def ids(of: Iterable[Incident]) -> list[UUID]:
    """Their ids."""
    return [incident.id for incident in of]
