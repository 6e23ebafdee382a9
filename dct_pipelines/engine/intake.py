"""Intake: what listeners report becomes events, snapshots and decisions, one transaction a page.

Nothing that a page stands for is stored before all of it is: events, snapshots, decisions, executions and
the resume token commit together. A crash at any point repeats the read, and the dedup keys make the repeat
harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from dct_pipelines.domain.event import Event, EventDraft
from dct_pipelines.domain.listener import Page
from dct_pipelines.domain.ports import Clock
from dct_pipelines.engine.decide import Decided, Decider
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.order import Order, advance, lock_order
from dct_pipelines.store.watching import cursors, letters, snapshots, timers
from dct_pipelines.store.watching import events as event_store
from dct_pipelines.store.watching.cursors import ReadFrom


@dataclass(frozen=True)
class PageReport:
    """What storing a page gave: new events, repeats that were already known, and what was decided.

    `is_outdated`: the read had been overtaken, so that nothing of the page was stored.
    """

    events: tuple[Event, ...] = ()
    repeats: int = 0
    decided: Decided = field(default_factory=Decided)
    is_outdated: bool = False


@dataclass(frozen=True)
class Intake:
    """Stores pages, whoever brings them: a listener's tick, or a webhook of the same connection."""

    database: Database
    clock: Clock
    decider: Decider
    release: str

    def ingest(self, connection_id: UUID, page: Page, since: ReadFrom | None = None) -> PageReport:
        """Store one page and decide its events, all or nothing.

        `since` is where the read that made the page began. A read whose lock was lost with the database, or
        whose item was moved to another place meanwhile, must not undo what was stored after it began.
        """
        now = self.clock.now()
        with self.database.begin() as connection:
            if page.is_unchanged:
                if not _still(connection, connection_id, page, since):
                    return PageReport(is_outdated=True)
                letters.store(connection, connection_id, page.dead_letters, now)
                cursors.read_ok(connection, connection_id, page, now)
                return PageReport()
            order = lock_order(connection)
            if not _still(connection, connection_id, page, since):
                return PageReport(is_outdated=True)
            new = self._new_events(connection, connection_id, page, order)
            event_store.insert_events(connection, new, self.release)
            snapshots.replace(connection, order.next_seq, page.snapshots, page.all_gone)
            timers.store_timers(connection, page.item_id, page.timers, page.timers_done)
            letters.store(connection, connection_id, page.dead_letters, now)
            cursors.read_ok(connection, connection_id, page, now)
            decided = self.decider.decide(connection, order, new)
            advance(connection, seqs=len(new))
        return PageReport(tuple(new), len(page.events) - len(new), decided)

    def _new_events(
        self, connection: Connection, connection_id: UUID, page: Page, order: Order
    ) -> Sequence[Event]:
        ids = event_store.claim_keys(connection, connection_id, page.events)
        drafts = {draft.dedup_key: draft for draft in reversed(page.events) if draft.dedup_key in ids}
        causes = event_store.causes(connection, connection_id, drafts.values())
        now = self.clock.now()

        def event_of(place: int, draft: EventDraft) -> Event:
            written = (causes.get((draft.item_id, external)) for external in draft.external_ids)
            return Event(
                id=ids[draft.dedup_key],
                seq=order.next_seq + place,
                connection_id=connection_id,
                observed_at=now,
                cause=next((cause for cause in written if cause is not None), None),
                item_id=draft.item_id,
                subject=draft.subject,
                dedup_key=draft.dedup_key,
                occurred_at=draft.occurred_at,
                actor=draft.actor,
                payload=draft.payload,
            )

        return [event_of(place, draft) for place, draft in enumerate(reversed(drafts.values()))]


def _still(connection: Connection, connection_id: UUID, page: Page, since: ReadFrom | None) -> bool:
    return since is None or cursors.is_still(connection, connection_id, page, since)
