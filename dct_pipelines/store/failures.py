"""What the database's own errors mean to us, decided once: is it worth waiting for?

Source of the codes: https://www.postgresql.org/docs/18/errcodes-appendix.html
"""

from __future__ import annotations

import psycopg2

from dct_pipelines.domain.errors import DatabaseUnavailable, DctError, InvalidSetting

BY_CODE = {
    "53100": "the database's disk is full; make room, work goes on by itself afterwards",
    "53300": "the database takes no more connections; raise max_connections or stop what holds them",
    "57014": "the database did not finish a statement within DCT_STATEMENT_TIMEOUT_SECONDS",
    "40001": "two writers met in the database; the later one tries again",
    "40P01": "two writers met in the database; the later one tries again",
    "55P03": "something else holds a lock in the database; this is tried again",
    "25006": "the database is read-only, perhaps a standby; work waits until it can be written",
}
BY_CLASS = {
    "08": "the connection to the database broke",
    "53": "the database is short of memory or space",
    "57": "the database is restarting or was told to stop",
    "58": "the database's machine has a fault (disk or files)",
}
REFUSED = (
    "authentication failed",
    "no password supplied",
    "no pg_hba.conf entry",
    "does not exist",
    "permission denied for database",
)
"""By words, because libpq gives no code when a connection is refused. Waiting does not help with these."""


def explain(error: BaseException | None, *, disconnected: bool = False) -> DctError | None:
    """Return our error for the driver's `error`, or None if it is about one statement (a unique key, say).

    `disconnected` is SQLAlchemy's judgement that the connection cannot be used any more.
    """
    if not isinstance(error, psycopg2.Error):
        return None
    said = " ".join(str(error).split())
    code: str = error.pgcode or ""
    meaning = BY_CODE.get(code) or BY_CLASS.get(code[:2])
    if meaning:
        return DatabaseUnavailable(f"{meaning} ({said})")
    if isinstance(error, psycopg2.OperationalError) and not code and any(words in said for words in REFUSED):
        return InvalidSetting(f"the database refuses DCT_DATABASE_URL: {said}")
    if disconnected or (not code and isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)):
        return DatabaseUnavailable(f"the database does not answer ({said}); work waits until it is back")
    return None
