"""What will not be accepted any more before long, in sentences; for maintenance and for the doctor."""

from __future__ import annotations

from datetime import datetime, timedelta

from dct_pipelines.store import expiring
from dct_pipelines.store.database import Connection

WARN_DAYS = 14
"""So long before a token expires it is said."""
MEND = "make a new one, or revoke it"


def tokens(connection: Connection, now: datetime) -> list[str]:
    """Tokens that have expired, or will within `WARN_DAYS`; the first one first."""
    return [
        f"token {one.name!r} of {one.user} {'expired' if one.expires_at <= now else 'expires'} on "
        f"{one.expires_at:%Y-%m-%d}"
        for one in expiring.tokens(connection, now + timedelta(days=WARN_DAYS))
    ]
