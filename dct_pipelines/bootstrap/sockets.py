"""The sockets of Slack connections, wired: which there have to be, and what becomes of what they bring."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from dct_pipelines.bootstrap.app import App
from dct_pipelines.domain.listener import Delivery
from dct_pipelines.store.watching import sources
from dct_pipelines.store.watching.sources import Source

if TYPE_CHECKING:
    from dct_pipelines.clients.slack.socket import SlackSocket

SLACK = "slack"


@dataclass(frozen=True)
class Sockets:
    """Sockets of one process."""

    app: App

    def wanted(self) -> Mapping[str, Source]:
        """Enabled Slack connections with an app token; the key changes when a connection does."""
        with self.app.database.connect() as connection:
            found = sources.enabled(connection, SLACK)
        return {
            json.dumps([source.name, dict(source.config), source.credential_ref], sort_keys=True): source
            for source in found
            if _app_token(source)
        }

    def open(self, source: Source, say: Callable[[str], None]) -> SlackSocket:
        """The sockets of a connection, not started yet."""
        from dct_pipelines.clients.slack.socket import SlackSocket

        outside = self.app.outside
        credential = partial(outside.secrets.read, _app_token(source))
        endpoint = replace(
            self.app.connected.endpoint(source),
            credential=credential,
            renew=partial(outside.secrets.forget, _app_token(source)),
        )

        def take_in(body: bytes) -> str:
            delivery = Delivery({}, body, outside.clock.now())
            return self.app.webhooks.take_in(source.name, delivery).because

        def connected() -> None:
            with self.app.database.begin() as connection:
                sources.due_at_once(connection, source.id, outside.clock.now())

        return SlackSocket(endpoint, outside.clock, take_in, connected, say)


def _app_token(source: Source) -> str:
    return str(source.config.get("config", {}).get("app_token") or "")
