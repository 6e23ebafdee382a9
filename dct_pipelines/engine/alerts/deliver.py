"""Delivery: what is in the outbox goes out, until it has arrived or interests nobody any more.

Each channel is told by itself, at the same time as the others, so that one that does not answer silences
itself only. What takes long goes on after the turn, and its channel is not begun again before it has ended.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import timedelta

from dct_pipelines.domain.alerts import GIVEN_UP_AFTER, AlertMessage, AlertPort, MessageKind, pause_after
from dct_pipelines.domain.channels import LONGEST_SEND_SECONDS
from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.errors import ActionFailed, DatabaseUnavailable, Unconfirmed
from dct_pipelines.domain.ports import Clock
from dct_pipelines.store import alert_outbox as outbox
from dct_pipelines.store.database import Database

log = logging.getLogger(__name__)
BUDGET_SECONDS = 15.0
"""For so long a turn begins to send the messages of a channel."""
PATIENCE_SECONDS = 5.0
"""So much longer it waits for what is on its way."""
CLAIMED_FOR = timedelta(seconds=LONGEST_SEND_SECONDS) + timedelta(minutes=2)
"""Longer than any send takes: who has it still is dead."""
MOST_AT_ONCE = 16
"""So many channels are told at the same time."""


@dataclass
class Delivered:
    """What became of messages, in numbers; `slow` are channels that are being told yet.

    `unconfirmed` may have arrived, and are not sent again.
    """

    sent: int = 0
    unconfirmed: int = 0
    failed: int = 0
    dropped: int = 0
    slow: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = {"sent": self.sent, "sent and not confirmed": self.unconfirmed}
        counts |= {"not delivered yet": self.failed, "given up": self.dropped}
        told = [f"{counted(count, 'message')} {what}" for what, count in counts.items() if count]
        told += [f"{', '.join(self.slow)} takes long to be told"] if self.slow else []
        return ", ".join([*told, *self.faults])

    def include(self, other: Delivered) -> None:
        """Count another channel's in."""
        self.sent += other.sent
        self.unconfirmed += other.unconfirmed
        self.failed += other.failed
        self.dropped += other.dropped


@dataclass(frozen=True)
class Delivery:
    """Sends what is due. A crash after the receiver had it repeats the message with the same id."""

    database: Database
    clock: Clock
    port: AlertPort
    budget_seconds: float = BUDGET_SECONDS
    patience_seconds: float = PATIENCE_SECONDS
    _busy: set[str] = field(default_factory=set)

    def deliver(self) -> Delivered:
        """Send what is due, for about so long at most, whatever does not answer."""
        with self.database.connect() as connection:
            due = outbox.channels_due(connection, self.clock.now())
        until = time.monotonic() + self.budget_seconds
        idle = [channel for channel in due if channel not in self._busy]
        free = max(0, MOST_AT_ONCE - len(self._busy))
        begun = {channel: self._begin(channel, until) for channel in idle[:free]}
        wait(begun.values(), self.budget_seconds + self.patience_seconds)
        return self._together(begun.items())

    def _begin(self, channel: str, until: float) -> Future[Delivered]:
        """On a thread that nobody has to wait for: a name server, say, may never answer."""
        told: Future[Delivered] = Future()
        self._busy.add(channel)

        def work() -> None:
            try:
                done = self._tell(channel, until)
            except BaseException as error:
                log.exception("telling %s broke off", channel)
                self._busy.discard(channel)
                told.set_exception(error)
            else:
                self._busy.discard(channel)
                told.set_result(done)

        try:
            threading.Thread(target=work, name=f"alerts to {channel}", daemon=True).start()
        except RuntimeError as error:  # no thread is left in this system: at another turn there may be
            self._busy.discard(channel)
            told.set_exception(error)
        return told

    def _together(self, begun: Iterable[tuple[str, Future[Delivered]]]) -> Delivered:
        """What became of all of them; only what concerns all of them is an error."""
        done = Delivered(slow=sorted(self._busy))
        broken = []
        for channel, told in begun:
            if not told.done():
                continue
            error = told.exception()
            if error is None:
                done.include(told.result())
            elif isinstance(error, DatabaseUnavailable) or not isinstance(error, Exception):
                broken.append(error)
            else:
                done.faults.append(f"telling {channel} broke off ({error}); the log says where")
        if broken:
            raise broken[0]
        return done

    def _tell(self, channel: str, until: float) -> Delivered:
        """One message after the other, until one shows that the channel does not answer."""
        done = Delivered()
        while time.monotonic() < until:
            now = self.clock.now()
            with self.database.begin() as connection:
                message = outbox.claim(connection, channel, now, now + CLAIMED_FOR)
            if message is None or not self._send(channel, message, done):
                break
        return done

    def _send(self, channel: str, message: AlertMessage, done: Delivered) -> bool:
        """Whether it makes sense to send the channel more; one receiver that is refused is no reason."""
        try:
            self.port.send(message)
        except DatabaseUnavailable:
            raise
        except Unconfirmed as error:
            self._unconfirmed(message, str(error), done)
            return False
        except Exception as error:  # noqa: BLE001 - whatever it is: this message is tried again, others go on
            answers = isinstance(error, ActionFailed) and not error.transient
            self._failed(message, str(error) or repr(error), done)
            if not answers:
                self._give_up_stale(channel, done)
            return answers
        with self.database.begin() as connection:
            outbox.sent(connection, message.id, self.clock.now())
        done.sent += 1
        return True

    def _unconfirmed(self, message: AlertMessage, why: str, done: Delivered) -> None:
        """Another attempt would tell nobody anything, and keep the end of its incidents from being told."""
        with self.database.begin() as connection:
            outbox.unconfirmed(connection, message.id, why, self.clock.now())
        done.unconfirmed += 1
        log.error("%s may not have been told: %s (%s)", message.destination, message.subject, why)

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

    def _give_up_stale(self, channel: str, done: Delivered) -> None:
        """Those that were not tried this time because the channel does not answer grow old as well."""
        now = self.clock.now()
        with self.database.begin() as connection:
            over = outbox.stale(connection, channel, now - GIVEN_UP_AFTER, now)
            for message_id in over:
                outbox.dropped(connection, message_id, None, now)
        if over:
            done.dropped += len(over)
            log.error("gave up to tell %s %s", channel, counted(len(over), "message"))
