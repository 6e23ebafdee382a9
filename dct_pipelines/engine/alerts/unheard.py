"""What of alerts nobody hears: messages that do not arrive, and a deployment that tells nobody anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dct_pipelines.domain.counting import counted, length_of
from dct_pipelines.store import alert_outbox as outbox
from dct_pipelines.store.database import Connection

LATE = timedelta(minutes=15)
"""By then five attempts have failed, or its channel was left alone as often."""
REMEMBERED = timedelta(days=7)
"""So long what was given up, or what nobody confirmed, is worth a word."""
ASK = "ask there for it; `dct alert list --all` has what it told"
MEND = "mend that, and see with `dct alert test` whether it arrives"


@dataclass(frozen=True)
class Unheard:
    """A fault in a sentence, and what mends it."""

    says: str
    mend: str


def unheard(connection: Connection, destinations: Sequence[str], now: datetime) -> Iterator[Unheard]:
    """What is not heard; nothing where all is well. `destinations` are those that messages go to."""
    if not destinations:
        yield Unheard(
            "alerts go nowhere: nobody is told of an incident",
            "set ALERT_WEBHOOK_URL or DCT_ALERT_CHANNELS, and see with `dct alert test` whether it arrives",
        )
    for row in outbox.trouble(connection, now - LATE, now - REMEMBERED):
        why = f": {row.why}" if row.why else ""
        if row.waiting:
            did = counted(row.waiting, "message")
            yield Unheard(f"{did} did not reach {row.channel} for {length_of(now - row.since)}{why}", MEND)
        if row.given_up:
            was = counted(row.given_up, "message was", "messages were")
            days = REMEMBERED.days
            yield Unheard(f"{was} given up within {days} days that should have told {row.channel}{why}", MEND)
        if row.unconfirmed:
            may = counted(row.unconfirmed, "message")
            yield Unheard(
                f"{may} may not have reached {row.channel} within {REMEMBERED.days} days: {row.doubt}", ASK
            )
