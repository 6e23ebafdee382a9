"""Webhooks: what a provider posts goes the way of what a poll finds: the same keys, the same intake.

A delivery says sooner what a poll would say later, or what no poll can see; it is never the only way to lose.
What it says is taken in at once; items that it only points at are read at once, and by the next tick when
that does not work out.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from dct_pipelines import registry
from dct_pipelines.domain.errors import DeliveryRefused, NotFound, PayloadUnreadable
from dct_pipelines.domain.listener import (
    DeadLetter,
    Delivery,
    Page,
    ReadContext,
    Received,
    WatchedConnection,
    WatchedItem,
    WebhookType,
)
from dct_pipelines.domain.ports import Clock, SecretsPort
from dct_pipelines.domain.signed_hook import SIGNED_HOOK
from dct_pipelines.engine.intake import Intake
from dct_pipelines.engine.listening import Listening
from dct_pipelines.engine.reading import StoredStates, TickReport
from dct_pipelines.store.database import Database
from dct_pipelines.store.watching import checks, cursors, sources
from dct_pipelines.store.watching.letters import LONGEST_RAW
from dct_pipelines.store.watching.sources import Addressed, Source

log = logging.getLogger(__name__)
LARGEST_BODY_BYTES = 1024 * 1024
LOCK_WAIT_SECONDS = 1.0
LOOK_SECONDS = 1.5
"""Together less than the three seconds within which Slack wants its answer; others wait ten."""


def webhook_of(kind: str) -> WebhookType:
    """The webhooks of a provider, or signed JSON where it has none that we know."""
    return registry.listener(kind).webhook or SIGNED_HOOK


@dataclass(frozen=True)
class Taken:
    """What became of a delivery, in words; the number of its new events; and what has to be answered."""

    because: str
    events: int = 0
    reply: str | None = None


@dataclass(frozen=True)
class Webhooks:
    """Takes deliveries in. Repeating one is harmless, so a sender whose answer got lost may send it again."""

    database: Database
    clock: Clock
    intake: Intake
    listening: Listening
    secrets: SecretsPort
    webhook_of: Callable[[str], WebhookType] = webhook_of
    """How the deliveries of a kind of connection are read."""

    def receive(self, connection_name: str, delivery: Delivery) -> Taken:
        """Verify and take in a delivery; header names are in lower case.

        `DeliveryRefused` before anything of it was looked at; `NotFound` when there is no such connection.
        """
        addressed = self._find(connection_name)
        secret = addressed.source.config.get("webhook_secret")
        if not secret:
            raise DeliveryRefused(
                f"connection {connection_name} has no webhook_secret, so nobody can tell whose delivery this "
                "is; set one there and at the provider"
            )
        self.webhook_of(addressed.source.kind).verify(delivery, self.secrets.read(secret))
        return self._take(addressed, delivery)

    def take_in(self, connection_name: str, delivery: Delivery) -> Taken:
        """Take in what came over a channel that is authenticated itself, e.g. a socket that we opened."""
        return self._take(self._find(connection_name), delivery)

    def _find(self, connection_name: str) -> Addressed:
        with self.database.connect() as connection:
            found = sources.by_name(connection, connection_name)
            known = frozenset(sources.names(connection)) if found is None else frozenset()
        if found is None:
            raise NotFound(
                f"there is no connection {connection_name!r}; {registry.nearest(connection_name, known)}"
            )
        return found

    def _take(self, addressed: Addressed, delivery: Delivery) -> Taken:
        """Take in under the connection's reading lock, without it when a read is under way for long.

        The lock keeps a read from putting back states that are older than the delivery's. To refuse the
        delivery instead would lose it, since not every provider sends again. Without the lock, too, no event
        is lost or doubled, by their keys, and what a read has put back is right again after the next read,
        which is made due at once.
        """
        source = addressed.source
        if not addressed.is_enabled:
            return Taken(f"connection {source.name} is switched off; nothing was taken in")
        with self.listening.holding([source], time.monotonic() + LOCK_WAIT_SECONDS) as locked:
            received = self._understood(source, delivery)
            events = self._store(source, received)
        if not locked:
            self._read_soon(source)
        if not received.look_at:
            return Taken(received.because, events, received.reply)
        problem, seen = self._look(addressed, received.look_at)
        because = f"{received.because}; {problem}" if problem else received.because
        return Taken(because, events + seen, received.reply)

    def _understood(self, source: Source, delivery: Delivery) -> Received:
        """What the delivery says. One that cannot be understood is kept raw."""
        if (size := len(delivery.body)) > LARGEST_BODY_BYTES:
            self._read_soon(source)
            why = f"{size} bytes are more than {LARGEST_BODY_BYTES}; the connection is read instead"
            return _unread(delivery, why)
        with self.database.connect() as connection:
            items = sources.items(connection, source.id)
            token = cursors.token_of(connection, source.id)
        watched = tuple(
            WatchedItem(item.id, item.name, item.kind, item.location, item.config, item.token)
            for item in items
        )
        whole = WatchedConnection(source.id, source.name, source.config.get("config", {}), token, watched)
        context = ReadContext(self.clock.now(), StoredStates(self.database))
        try:
            return self.webhook_of(source.kind).read(delivery, whole, context)
        except PayloadUnreadable as fault:
            return _unread(delivery, str(fault))
        except Exception as error:
            log.exception("a delivery to %s could not be read", source.name)
            return _unread(delivery, f"a fault of the listener: {error!r}")

    def _store(self, source: Source, received: Received) -> int:
        """Store what was received; how many events were new. A webhook never moves a cursor."""
        if received.checks:
            with self.database.begin() as connection:
                for check in received.checks:
                    checks.report(connection, check)
        if received.page is None:
            return 0
        return len(self.intake.ingest(source.id, replace(received.page, token=None)).events)

    def _look(self, addressed: Addressed, items: Sequence[UUID]) -> tuple[str | None, int]:
        """Read items now: why that was left for later, if it was, and how many new events there were."""
        source = addressed.source
        if addressed.not_before is not None and addressed.not_before > self.clock.now():
            return (
                f"{source.name} is left alone until {addressed.not_before:%H:%M:%S} UTC, then it is read",
                0,
            )

        def look(_source: Source) -> TickReport:
            with self.listening.recorded(items, LOOK_SECONDS) as report:
                return report

        report = self.listening.readers.read([source], look, LOOK_SECONDS)
        if not report.problems:
            return None, report.events
        self._read_soon(source)
        return f"to be read again by the next tick: {'; '.join(report.problems)}", report.events

    def _read_soon(self, source: Source) -> None:
        with self.database.begin() as connection:
            sources.due_at_once(connection, source.id, self.clock.now())


def _unread(delivery: Delivery, why: str) -> Received:
    raw = delivery.body[:LONGEST_RAW].decode("utf-8", "replace")
    letter = DeadLetter(f"delivery {hashlib.sha256(delivery.body).hexdigest()}", raw, why)
    return Received(f"kept as a dead letter: {why}", Page(None, None, dead_letters=(letter,)))
