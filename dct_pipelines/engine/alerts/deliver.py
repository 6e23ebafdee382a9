"""Delivery: what is in the outbox goes out, one by one, until it has arrived or interests nobody any more."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from dct_pipelines.domain.alerts import GIVEN_UP_AFTER, AlertMessage, AlertPort, MessageKind, pause_after
from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.domain.ports import Clock
from dct_pipelines.store import alert_outbox as outbox
from dct_pipelines.store.database import Database

log = logging.getLogger(__name__)
BUDGET_SECONDS = 15.0


@dataclass
class Delivered:
    """What became of messages, in numbers."""

    sent: int = 0
    failed: int = 0
    dropped: int = 0

    def __str__(self) -> str:
        counts = {"sent": self.sent, "not delivered yet": self.failed, "given up": self.dropped}
        return ", ".join(f"{counted(count, 'message')} {what}" for what, count in counts.items() if count)


@dataclass(frozen=True)
class Delivery:
    """Sends what is due. A crash after the receiver had it repeats the message with the same id."""

    database: Database
    clock: Clock
    port: AlertPort

    def deliver(self, budget_seconds: float = BUDGET_SECONDS) -> Delivered:
        """Send what is due, the oldest first, for about so long at most."""
        done, until = Delivered(), time.monotonic() + budget_seconds
        while time.monotonic() < until:
            now = self.clock.now()
            with self.database.begin() as connection:
                message = outbox.claim(connection, now, now + pause_after(1))
            if message is None:
                break
            self._send(message, done)
        return done

    def _send(self, message: AlertMessage, done: Delivered) -> None:
        try:
            self.port.send(message)
        except DatabaseUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is: this message is tried again, others go on
            self._failed(message, str(error) or repr(error), done)
            return
        with self.database.begin() as connection:
            outbox.sent(connection, message.id, self.clock.now())
        done.sent += 1

    def _failed(self, message: AlertMessage, why: str, done: Delivered) -> None:
        now = self.clock.now()
        is_over = message.kind is MessageKind.TEST or now - message.at >= GIVEN_UP_AFTER
        with self.database.begin() as connection:
            if is_over:
                outbox.dropped(connection, message.id, why, now)
            else:
                outbox.failed(connection, message.id, why, now + pause_after(message.attempts))
        if is_over:
            done.dropped += 1
            log.error("gave up to tell %s: %s (%s)", message.destination, message.subject, why)
        else:
            done.failed += 1
            log.warning("%s could not be told: %s; it is tried again", message.destination, why)
