"""How a process that waits for executions hears of them without asking: PostgreSQL's NOTIFY.

A hint only. One that is missed costs a moment, because whoever listens also looks from time to time.
"""

from __future__ import annotations

from sqlalchemy import Connection, text

EXECUTIONS = "dct_executions"
"""The channel on which it is said that executions have begun to wait; there is nothing more to it."""

_NOTIFY = text("SELECT pg_notify(:channel, '')")


def notify(connection: Connection) -> None:
    """Wake whoever listens, once the transaction is committed; saying it twice in one is saying it once."""
    connection.execute(_NOTIFY, {"channel": EXECUTIONS})
