"""Messages about incidents: what one says, which incidents go together, and who brings it.

Incidents that open in one evaluation are one message for each group, and one for all when there are many: who
is woken wants to hear once what is wrong, not once for each trigger that suffers from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from dct_pipelines.domain.counting import length_of
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.incidents import Incident

STORM = 3
"""With more groups than that in one evaluation everything is one message."""
LISTED = 20
"""So many incidents are named in a text; all are in `incidents`."""
GIVEN_UP_AFTER = timedelta(days=3)
"""A message that could not be delivered for so long interests nobody any more."""
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)


class MessageKind(StrEnum):
    """What a message tells."""

    OPENED = "incidents_opened"
    RESOLVED = "incidents_resolved"
    TEST = "test"


class AlertMessage(Fact):
    """One message for one destination. `id` is its idempotency key, the same in every attempt."""

    id: UUID
    kind: MessageKind
    destination: str
    subject: str
    text: str
    at: datetime
    incidents: tuple[dict[str, Any], ...] = ()
    attempts: int = 0


class AlertPort(Protocol):
    """Brings messages to whoever has to know; raises when one may not have arrived.

    `Unconfirmed`: it may have, and trying again would not send it again.
    """

    def send(self, message: AlertMessage) -> None:
        """Tell it, once for each id."""


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts before the next one."""
    doublings = min(max(attempts - 1, 0), 10)
    return min(LONGEST_PAUSE, FIRST_PAUSE * (1 << doublings))


def groups(incidents: Sequence[Incident]) -> list[list[Incident]]:
    """Which incidents are told together. One without a group is alone, unless there are too many."""
    found: dict[str, list[Incident]] = {}
    for incident in incidents:
        found.setdefault(incident.group or str(incident.id), []).append(incident)
    return list(found.values()) if len(found) <= STORM else [list(incidents)]


def subject_of(kind: MessageKind, incidents: Sequence[Incident]) -> str:
    """One line, as a mail has it."""
    if kind is MessageKind.TEST:
        return "Test of alerts"
    what = "Incident" if kind is MessageKind.OPENED else "Resolved"
    if len(incidents) == 1:
        return f"{what}: {incidents[0].rule} of {incidents[0].subject}"
    names = ", ".join(dict.fromkeys(incident.subject for incident in incidents[:4]))
    more = ", ..." if len(incidents) > 4 else ""
    many = "incidents" if kind is MessageKind.OPENED else "incidents resolved"
    return f"{len(incidents)} {many}: {names}{more}"


def text_of(kind: MessageKind, incidents: Sequence[Incident]) -> str:
    """What people read, the same words in every channel."""
    if kind is MessageKind.TEST:
        return "This is a test of alerts: what is wrong would be told here."
    told = [_sentence(kind, incident) for incident in incidents]
    if len(told) == 1:
        return told[0]
    shared = {incident.group for incident in incidents}
    about = f" of {next(iter(shared))}" if len(shared) == 1 and "" not in shared else ""
    verb = "opened" if kind is MessageKind.OPENED else "are resolved"
    lines = [f"{len(told)} incidents{about} {verb}:", *(f"- {one}" for one in told[:LISTED])]
    if len(told) > LISTED:
        lines.append(f"and {len(told) - LISTED} more: dct alert list")
    return "\n".join(lines)


def _sentence(kind: MessageKind, incident: Incident) -> str:
    if kind is MessageKind.OPENED:
        return incident.text
    ended = incident.resolved_at or incident.last_seen_at
    lasted = length_of(ended - (incident.opened_at or incident.first_seen_at))
    by = f" by {incident.resolved_by}" if incident.resolved_by else ""
    return f"Resolved{by} after {lasted}: {incident.text}"
