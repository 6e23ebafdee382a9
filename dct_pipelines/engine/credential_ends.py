"""When the credentials of connections end: learned from their providers beside reads and checks, and kept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from dct_pipelines.domain.connected import CredentialEnd, TellsCredentialEnd
from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.ports import Clock
from dct_pipelines.engine.reading import DOWN_AFTER_FAILURES
from dct_pipelines.store import expiring
from dct_pipelines.store.database import Database
from dct_pipelines.store.watching.sources import Source

log = logging.getLogger(__name__)
ASKED_EACH = timedelta(days=1)


@dataclass(frozen=True)
class CredentialEnds:
    """Learns and keeps them. `client_of` gives the client of a connection.

    Nothing that goes wrong here is in the way of a read: what was not told today is asked tomorrow.
    """

    database: Database
    clock: Clock
    client_of: Callable[[Source], Any]
    _asked: dict[tuple[UUID, str], datetime] = field(default_factory=dict)

    def after_read(self, source: Source) -> None:
        """Ask once a day, and when a connection that was down can be read again: perhaps by a new credential.

        Otherwise it is left to the client to see that its secret is another one. `source` is as it stood
        before the read.
        """
        reference = source.credential_ref
        if reference is None:
            return
        client = self.client_of(source)
        if not isinstance(client, TellsCredentialEnd):
            return
        now = self.clock.now()
        was_down = source.consecutive_failures >= DOWN_AFTER_FAILURES
        is_due = was_down or now - self._asked_at(source.id, reference, now) >= ASKED_EACH
        if is_due:
            self._asked[source.id, reference] = now
        self._learn(client, source.name, reference, is_due=is_due)

    def after_check(self, client: Any, name: str, reference: str | None) -> None:
        """Ask now, and keep it where the connection is stored with that credential."""
        if reference is not None and isinstance(client, TellsCredentialEnd):
            self._learn(client, name, reference, is_due=True)

    def _asked_at(self, connection_id: UUID, reference: str, now: datetime) -> datetime:
        known = self._asked.get((connection_id, reference))
        if known is None:
            with self.database.connect() as connection:
                known = expiring.asked_at(connection, connection_id, reference) or now - ASKED_EACH
            self._asked[connection_id, reference] = known
        return known

    def _learn(self, client: TellsCredentialEnd, name: str, reference: str, *, is_due: bool) -> None:
        told = _told(client, name, is_due=is_due)
        if told is not None:
            with self.database.begin() as connection:
                expiring.note(connection, name, reference, told.at, self.clock.now())


def _told(client: TellsCredentialEnd, name: str, *, is_due: bool) -> CredentialEnd | None:
    try:
        return client.credential_end(is_due=is_due)
    except DctError as error:
        log.info("when the credential of %s ends was not told: %s", name, error)
    except Exception:
        log.exception("asking when the credential of %s ends failed", name)
    return None
