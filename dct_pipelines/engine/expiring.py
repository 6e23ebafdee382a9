"""What will not be accepted any more before long, in sentences; for alerts, maintenance and the doctor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from dct_pipelines.store import expiring
from dct_pipelines.store.database import Connection

WARN_DAYS = 14
"""So long before a token of ours expires it is said."""
MEND = "make a new one, or revoke it"


def tokens(connection: Connection, now: datetime) -> list[str]:
    """Tokens that have expired, or will within `WARN_DAYS`; the first one first."""
    return [
        f"token {one.name!r} of {one.user} {'expired' if one.expires_at <= now else 'expires'} on "
        f"{one.expires_at:%Y-%m-%d}"
        for one in expiring.tokens(connection, now + timedelta(days=WARN_DAYS))
    ]


@dataclass(frozen=True)
class Ending:
    """A credential of a connection that ends before long. `is_warned_of`: maintenance has said so."""

    connection_id: UUID
    connection: str
    says: str
    mend: str
    ends_at: datetime
    is_warned_of: bool


def credentials(connection: Connection, now: datetime, days: float) -> list[Ending]:
    """Those that have ended or will within so many days, the first one first; without days none."""
    if not days:
        return []
    return [
        Ending(
            connection_id=one.id,
            connection=one.name,
            says=f"the credential of connection {one.name} ({one.kind}) "
            f"{'ended' if one.ends_at <= now else 'ends'} on {one.ends_at:%Y-%m-%d at %H:%M} UTC",
            mend=f"make a new one there and put it behind {one.credential_ref}; "
            f"`dct connection check {one.name}` then takes note of it",
            ends_at=one.ends_at,
            is_warned_of=one.is_warned_of,
        )
        for one in expiring.credentials(connection, now + timedelta(days=days))
    ]


def warned(connection: Connection, endings: Iterable[Ending]) -> None:
    """Remember that it was said of these: they have ends of their own, and only those are remembered."""
    expiring.warned(connection, {one.connection_id: one.ends_at for one in endings})
