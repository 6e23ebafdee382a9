"""A connection of any kind on a real database that polls and takes webhooks, and what became of both."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import update

from dct_pipelines.domain.listener import Delivery, WebhookType
from dct_pipelines.domain.words import ItemKind
from dct_pipelines.engine.listening import Listening
from dct_pipelines.engine.webhooks import Taken, Webhooks
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.fakes.ports import FakeClock, FakeSecrets
from tests.support.world import World

HOOK_SECRET = "env:HOOK"
CONNECTION = UUID("00000000-0000-4000-8000-00000000c0de")
ITEM = UUID("00000000-0000-4000-8000-00000000f00d")


class Hooked:
    """The connection `here` with the item `sample`; `port` is what its listener reads through."""

    def __init__(
        self,
        database: Database,
        port: Any,
        *,
        kind: str = "git",
        item: tuple[ItemKind, str] = (ItemKind.GIT_REPOSITORY, "/srv/sample.git"),
        secret: str,
        clock: FakeClock | None = None,
        webhook: WebhookType | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        self.kind = kind
        self.clock = clock or FakeClock()
        self.world = World(database, self.clock, CONNECTION, ITEM)
        self.configure(kind=kind, config={"webhook_secret": HOOK_SECRET, "config": config or {}})
        with database.begin() as connection:
            values = {"kind": item[0].value, "location": item[1]}
            connection.execute(update(tables.context_library).values(**values))
        self.listening = Listening(
            database, self.clock, self.world.intake, self.world.decider, lambda _source, _item: port, 5.0
        )
        given = {} if webhook is None else {"webhook_of": lambda _kind: webhook}
        self.webhooks = Webhooks(
            database,
            self.clock,
            self.world.intake,
            self.listening,
            FakeSecrets({HOOK_SECRET: secret}),
            **given,
        )

    def configure(self, **values: Any) -> None:
        """Change columns of the connection."""
        with self.world.database.begin() as connection:
            connection.execute(update(tables.connections).values(**values))

    def poll(self, seconds: float = 60) -> int:
        """A tick later: how many new events it gave."""
        self.clock.advance(seconds=seconds)
        report = self.listening.tick(self.kind)
        assert report.problems == []
        return report.events

    def post(self, headers: dict[str, str], body: bytes) -> Taken:
        """A delivery as the provider signed it."""
        return self.webhooks.receive("here", Delivery(headers, body, self.clock.now()))

    def events(self) -> list[dict[str, Any]]:
        """Everything that was taken in, in order."""
        return sorted(self.world.rows(tables.events), key=lambda event: int(event["seq"]))

    def letters(self) -> list[dict[str, Any]]:
        """Dead letters."""
        return self.world.rows(tables.dead_letters)

    @property
    def due_at(self) -> Any:
        """When the next read is due."""
        return self.world.rows(tables.connections)[0]["next_due_at"]
