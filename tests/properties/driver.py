"""Drives a listener as the engine does: page by page into an intake in memory, with deaths in between.

driver = Driver(LISTENER, connection_id, config, items, port=lambda item: client, clock=clock)
driver.deaths = Deaths(random.Random(seed), chance=0.2)
driver.tick()            # one poll; faults of the provider and deaths end it, nothing half is kept
driver.settle()          # polls without deaths until one of them drains everything
driver.deliver(LISTENER.webhook, headers, body, secret)
driver.intake.events     # what triggers would have been decided on, in order
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings

from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused, DctError, Scope
from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.listener import (
    DeadLetter,
    Delivery,
    ListenerType,
    Page,
    ReadContext,
    Received,
    Timer,
    WatchedConnection,
    WatchedItem,
    WebhookType,
)
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.snapshot import Snapshot
from tests.fakes.snapshots import FakeSnapshots

histories = settings(
    max_examples=int(os.environ.get("DCT_HISTORIES", "20")),
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
"""Settings of a test over random histories: the same ones at every run."""


class Died(BaseException):
    """The process that polls was killed. Nothing but the end of the tick may catch it."""


@dataclass
class Deaths:
    """Whether the poller dies now. With `chance` 0 it never does."""

    random: random.Random
    chance: float = 0.0
    count: int = 0

    def maybe(self) -> None:
        """Die, or not."""
        if self.chance and self.random.random() < self.chance:
            self.count += 1
            raise Died


class MemoryIntake:
    """Stores pages as the real intake does: all of a page or nothing, each dedup key once, states, tokens.

    Tokens, events and states go through JSON, as they do in the database.
    """

    def __init__(self) -> None:
        self.events: list[EventDraft] = []
        self.repeats = 0
        self.snapshots = FakeSnapshots()
        self.connection_token: Mapping[str, Any] = {}
        self.item_tokens: dict[UUID, Mapping[str, Any]] = {}
        self.unreadable: dict[UUID, str] = {}
        self.dead_letters: dict[str, DeadLetter] = {}
        self.timers: dict[tuple[UUID, str, str], Timer] = {}
        self._keys: set[str] = set()

    def ingest(self, page: Page) -> tuple[EventDraft, ...]:
        """Store a page; returns what of it is new."""
        events = [EventDraft.model_validate_json(draft.model_dump_json()) for draft in page.events]
        snapshots = [Snapshot.model_validate_json(one.model_dump_json()) for one in page.snapshots]
        token = None if page.token is None else json.loads(json.dumps(dict(page.token)))
        readings = [(one, json.loads(json.dumps(dict(one.token)))) for one in page.readings]
        new = []
        for draft in events:
            if draft.dedup_key in self._keys:
                self.repeats += 1
                continue
            self._keys.add(draft.dedup_key)
            new.append(draft)
        self.events += new
        for item_id, subject in page.all_gone:
            self.snapshots.remove(item_id, [subject])
        self.snapshots.store(snapshots)
        for letter in page.dead_letters:
            self.dead_letters[letter.key] = letter
        self._keep_timers(page)
        for reading, of_item in readings:
            self.item_tokens[reading.item_id] = of_item
            self._mark(reading.item_id, reading.unreadable)
        if token is not None and page.item_id is None:
            self.connection_token = token
        elif token is not None and page.item_id is not None:
            self.item_tokens[page.item_id] = token
            self._mark(page.item_id, None)
        return tuple(new)

    def _keep_timers(self, page: Page) -> None:
        if page.item_id is None:
            return
        for subject, key in page.timers_done:
            self.timers.pop((page.item_id, subject, key), None)
        for timer in page.timers:
            self.timers[timer.item_id, timer.subject, timer.key] = timer

    def _mark(self, item_id: UUID, why: str | None) -> None:
        self.unreadable.pop(item_id, None)
        if why is not None:
            self.unreadable[item_id] = why


@dataclass
class Driver:
    """Polls and takes deliveries in for one connection. `items` may be changed between ticks.

    `port(item)` makes the client, for `None` that of the whole connection; it is asked anew at every tick.
    """

    listener: ListenerType[Any]
    connection_id: UUID
    config: Mapping[str, Any]
    items: Sequence[WatchedItem]
    port: Callable[[WatchedItem | None], Any]
    clock: Clock
    deaths: Deaths = field(default_factory=lambda: Deaths(random.Random(0)))
    pages_per_tick: int = 1_000
    """After so many pages the tick's time is up; the next one goes on from the token."""
    intake: MemoryIntake = field(default_factory=MemoryIntake)
    problems: list[str] = field(default_factory=list)
    """What went wrong in the last tick."""

    def tick(self) -> bool:
        """One poll. True when everything was drained and nobody died or failed."""
        self.problems = []
        try:
            return self._poll()
        except Died:
            self.problems.append("died")
            return False

    def settle(self, ticks: int = 200, after: Callable[[], None] = lambda: None) -> None:
        """Poll without deaths until a tick drains everything; `after` is called between ticks."""
        before, self.deaths = self.deaths, Deaths(random.Random(0))
        try:
            for _ in range(ticks):
                if self.tick():
                    return
                after()
            raise AssertionError(f"not drained after {ticks} ticks: {self.problems}")
        finally:
            self.deaths = before

    def deliver(self, webhook: WebhookType, headers: Mapping[str, str], body: bytes, secret: str) -> Received:
        """Take a delivery in, as the endpoint does; its page is stored at once."""
        delivery = Delivery(headers, body, self.clock.now())
        webhook.verify(delivery, secret)
        received = webhook.read(delivery, self._whole(), self._context(None))
        if received.page is not None:
            self.intake.ingest(received.page)
        return received

    def states(self, item: WatchedItem) -> Mapping[str, Any]:
        """The stored states of an item."""
        return self.intake.snapshots.states(item.id)

    def _poll(self) -> bool:
        if self.listener.read_together is not None:
            return self._guarded(None, self._pages_together)
        done = [self._guarded(item, partial(self._pages_of, item)) for item in self.items]
        return all(done)

    def _guarded(self, item: WatchedItem | None, pages: Callable[[], Iterator[Page]]) -> bool:
        try:
            return self._take_in(pages())
        except DctError as error:
            self.problems.append(f"{type(error).__name__}: {error}")
            if item is not None and error.scope is Scope.ITEM:
                self.intake.unreadable[item.id] = str(error)
                return True
            if not isinstance(error, ConnectionDown | CredentialRefused):
                raise
            return False

    def _take_in(self, pages: Iterator[Page]) -> bool:
        is_last = True
        for number, page in enumerate(pages, start=1):
            self.deaths.maybe()
            self.intake.ingest(page)
            self.deaths.maybe()
            is_last = page.is_last
            if not is_last and number >= self.pages_per_tick:
                return False
        return is_last

    def _pages_together(self) -> Iterator[Page]:
        assert self.listener.read_together is not None
        return self.listener.read_together(self._whole(), self._context(None), self.port(None))

    def _pages_of(self, item: WatchedItem) -> Iterator[Page]:
        assert self.listener.read is not None
        return self.listener.read(self._now(item), self._context(item), self.port(item))

    def _whole(self) -> WatchedConnection:
        items = tuple(self._now(item) for item in self.items)
        return WatchedConnection(
            self.connection_id, "simulated", self.config, self.intake.connection_token, items
        )

    def _now(self, item: WatchedItem) -> WatchedItem:
        return WatchedItem(
            item.id,
            item.name,
            item.kind,
            item.location,
            item.config,
            self.intake.item_tokens.get(item.id, {}),
            item.asks,
            item.asks_digest,
        )

    def _context(self, item: WatchedItem | None) -> ReadContext:
        now = self.clock.now()
        due = tuple(
            timer
            for timer in self.intake.timers.values()
            if item is not None and timer.item_id == item.id and timer.due_at <= now
        )
        return ReadContext(now, self.intake.snapshots, due)
