"""Sends traces of executions that have ended, from their rows and in order, after a cursor that it keeps.

At least once: the cursor goes on after the collector has taken a batch, and what is sent again has the same
ids. No run, tick or dispatch knows of it, so a collector that is away or slow disturbs nobody.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dct_pipelines.domain.errors import TracesRefused
from dct_pipelines.domain.tracing import SpanSink, spans_of_all
from dct_pipelines.store import endings, tracing
from dct_pipelines.store.database import Database

if TYPE_CHECKING:
    from dct_pipelines.domain.ports import Clock

CURSOR = "traces"
BATCH = 100
"""Executions in one request: some hundred kilobytes."""
OLDEST = timedelta(days=1)
"""What ended before is passed over: after weeks without a collector nobody waits for all of them."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sent:
    """What one turn did."""

    executions: int
    spans: int


@dataclass(frozen=True)
class TraceExport:
    """Sends what has ended. One a deployment is enough; two send some things twice and lose nothing."""

    database: Database
    clock: Clock
    sink: SpanSink

    def turn(self) -> Sent | None:
        """Send the next batch; None when there is nothing to send yet.

        Raises `CollectorUnavailable`, or `DatabaseUnavailable`: the next turn then sends the same again.
        """
        with self.database.begin() as connection:
            since = endings.through(connection, CURSOR)
            oldest = self.clock.now() - OLDEST
            if since < oldest:
                _log.warning("traces of executions that ended from %s to %s are not sent", since, oldest)
                endings.advance(connection, CURSOR, since, oldest)
                since = oldest
            until = endings.until(connection, since, BATCH)
            if until is None:
                return None
            found = tracing.ended(connection, since, until)
        spans = spans_of_all(found)
        try:
            self.sink.send(spans)
        except TracesRefused as error:
            _log.error("traces of %d executions are lost: %s", len(found), error)
        with self.database.begin() as connection:
            endings.advance(connection, CURSOR, since, until)
        return Sent(len(found), len(spans))
