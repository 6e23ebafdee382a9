"""Alerts as entry points use them: the turn of each minute, and what people do with incidents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import uuid4

from dct_pipelines.domain.alerts import AlertMessage, AlertPort, MessageKind, subject_of, text_of
from dct_pipelines.domain.errors import DatabaseUnavailable, InvalidInput, NotFound, NotPermitted
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.incidents import Incident
from dct_pipelines.domain.ports import Clock
from dct_pipelines.engine.alerts.deliver import Delivered, Delivery
from dct_pipelines.engine.alerts.evaluate import Evaluation, Evaluator, endings
from dct_pipelines.engine.alerts.life import DeadMansSwitch
from dct_pipelines.engine.alerts.unheard import Unheard, unheard
from dct_pipelines.store import alert_outbox as outbox
from dct_pipelines.store import incidents as store
from dct_pipelines.store.database import Connection, Database

SHORTEST_PREFIX = 4
HEX = frozenset("0123456789abcdef-")


class Tried(Fact):
    """What became of a test message. `error` None: it arrived."""

    destination: str
    error: str | None


@dataclass(frozen=True)
class Turned:
    """What the turn of a minute did."""

    evaluation: Evaluation
    delivered: Delivered
    faults: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(filter(None, (str(self.evaluation), str(self.delivered), *self.faults)))


@dataclass(frozen=True)
class AlertService:
    """Everything about incidents. `destinations` are those that messages go to."""

    database: Database
    clock: Clock
    evaluator: Evaluator
    port: AlertPort
    switch: DeadMansSwitch
    destinations: Callable[[], Sequence[str]]

    def turn(self) -> Turned:
        """Evaluate, deliver what is due, and give the sign of life."""
        evaluation = self.evaluator.evaluate()
        faults = self.switch.beat(self.clock.now(), evaluation.stuck)
        delivered = self._delivery.deliver()
        return Turned(evaluation, delivered, tuple(faults))

    @cached_property
    def _delivery(self) -> Delivery:
        """One for the process: it knows which channels are being told yet."""
        return Delivery(self.database, self.clock, self.port)

    def latest(self, *, with_resolved: bool = False, limit: int = 50) -> list[Incident]:
        """Incidents that are not resolved, or all, the newest first."""
        with self.database.connect() as connection:
            return store.latest(connection, with_resolved=with_resolved, limit=limit)

    def unheard(self) -> list[Unheard]:
        """What people do not hear, though something is out of order or may be."""
        with self.database.connect() as connection:
            return list(unheard(connection, self.destinations(), self.clock.now()))

    def show(self, incident_id: str) -> dict[str, Any]:
        """An incident, by its id or the first digits of it, with the messages about it."""
        with self.database.connect() as connection:
            incident = _found(connection, incident_id)
            told = [dict(row._mapping) for row in outbox.told_of(connection, incident.id)]
        shown = ("id", "kind", "destination", "created_at", "attempts", "sent_at", "dropped_at", "last_error")
        messages = [{key: row[key] for key in shown} for row in told]
        return incident.model_dump() | {"messages": messages}

    def acknowledge(self, incident_ids: Sequence[str], by: str) -> list[Incident]:
        """Say that somebody looks after these. Nobody is told of that; their end is told as otherwise."""
        with self.database.begin() as connection:
            wanted = self._wanted(connection, incident_ids, by)
            taken = store.acknowledge(connection, store.ids(wanted), self.clock.now(), by)
            _audit(connection, by, "acknowledge", taken)
        return taken

    def resolve(self, incident_ids: Sequence[str], by: str) -> list[Incident]:
        """End these by hand. What is still out of order after ten minutes opens a new incident."""
        now = self.clock.now()
        with self.database.begin() as connection:
            wanted = self._wanted(connection, incident_ids, by)
            ended = store.resolve(connection, store.ids(wanted), now, by)
            outbox.put(connection, list(endings(connection, ended, now)))
            _audit(connection, by, "resolve", ended)
        return ended

    def test(self, by: str) -> list[Tried]:
        """Send a test message to each destination, once. InvalidInput when there is none."""
        with self.database.connect() as connection:
            _permit(connection, by)
        wanted = self.destinations()
        if not wanted:
            raise InvalidInput("alerts go nowhere; set ALERT_WEBHOOK_URL or DCT_ALERT_CHANNELS")
        return [self._try(destination) for destination in wanted]

    def _try(self, destination: str) -> Tried:
        message = AlertMessage(
            id=uuid4(),
            kind=MessageKind.TEST,
            destination=destination,
            subject=subject_of(MessageKind.TEST, ()),
            text=text_of(MessageKind.TEST, ()),
            at=self.clock.now(),
            attempts=1,
        )
        try:
            self.port.send(message)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - the others are tried too
            return Tried(destination=destination, error=str(error) or repr(error))
        return Tried(destination=destination, error=None)

    def _wanted(self, connection: Connection, incident_ids: Sequence[str], by: str) -> list[Incident]:
        _permit(connection, by)
        return [_found(connection, one) for one in incident_ids]


def _found(connection: Connection, text: str) -> Incident:
    if len(text) < SHORTEST_PREFIX or set(text.lower()) - HEX:
        raise InvalidInput(f"{text!r} is not the id of an incident; give {SHORTEST_PREFIX} digits or more")
    found = store.with_prefix(connection, text)
    if len(found) > 1:
        raise InvalidInput(f"more than one incident begins with {text!r}; give more digits")
    if not found:
        raise NotFound(f"there is no incident {text!r}; `dct alert list --all` shows them")
    return found[0]


def _permit(connection: Connection, by: str) -> None:
    # who only evaluates needs no definitions
    from dct_pipelines.domain.roles import incidents_fault
    from dct_pipelines.engine.manage.stored import role_of

    if message := incidents_fault(role_of(connection, by)):
        raise NotPermitted(message)


def _audit(connection: Connection, by: str, verb: str, changed: Sequence[Incident]) -> None:
    from dct_pipelines.store.definitions import people

    for incident in changed:
        detail = {"rule": incident.rule.value, "subject": incident.subject}
        people.audit(connection, by, verb, "incident", str(incident.id), detail)
