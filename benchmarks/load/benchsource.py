"""The listener of the benchmarks' source: one call for all items, one event for each change.

A plug-in of a package of its own (`plugins/`), as anybody could write one.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from dct_pipelines.domain.connected import Endpoint, Finding
from dct_pipelines.domain.errors import ConnectionDown
from dct_pipelines.domain.event import EventDraft
from dct_pipelines.domain.listener import ItemConfig, ListenerType, Page, ReadContext, WatchedConnection
from dct_pipelines.domain.payloads import StatusChanged
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.snapshot import Snapshot, TicketState
from dct_pipelines.domain.words import ItemKind

TIMEOUT_SECONDS = 10
PAGE = 200
"""Changes that are stored in one transaction."""


class SourceClient:
    """Asks the source."""

    def __init__(self, endpoint: Endpoint, _clock: Clock) -> None:
        self._base = endpoint.base

    def changes(self, after: int) -> Mapping[str, Any]:
        """All changes behind the cursor `after`: `cursor`, and `changes` of [place, item, status, time]."""
        try:
            with urllib.request.urlopen(
                f"{self._base}/changes?after={after}", timeout=TIMEOUT_SECONDS
            ) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except OSError as error:
            raise ConnectionDown(f"the benchmarks' source does not answer: {error}") from error

    def check(self) -> tuple[Finding, ...]:
        """Whether it answers."""
        return (Finding("source", True, f"its cursor is {self.changes(-1)['cursor']}"),)

    def look(self, _kind: ItemKind, location: str, _config: Mapping[str, Any]) -> str:
        """Everything is there."""
        return f"all items of {location}"


def read_together(connection: WatchedConnection, context: ReadContext, port: SourceClient) -> Iterator[Page]:
    """Pages of what changed since the cursor; the first read only takes the cursor."""
    after = connection.token.get("cursor")
    answer = port.changes(-1 if after is None else after)
    changes = [] if after is None else answer["changes"]
    item_id = connection.items[0].id
    for begin in range(0, max(len(changes), 1), PAGE):
        part = changes[begin : begin + PAGE]
        is_last = begin + PAGE >= len(changes)
        yield Page(
            item_id=None,
            token={"cursor": answer["cursor"] if is_last else part[-1][0]},
            events=tuple(
                EventDraft(
                    item_id=item_id,
                    subject=item,
                    dedup_key=f"{item}:{place}",
                    occurred_at=datetime.fromtimestamp(at, UTC),
                    payload=StatusChanged(from_status=None, to_status=status),
                )
                for place, item, status, at in part
            ),
            snapshots=tuple(
                Snapshot(
                    item_id=item_id,
                    subject=item,
                    state=TicketState(key=item, status=status),
                    observed_at=context.now,
                )
                for item, status in {item: status for _, item, status, _ in part}.items()
            ),
            is_last=is_last,
        )


LISTENER = ListenerType(
    kind="benchsource",
    summary="the source of the benchmarks",
    item_kinds=frozenset({ItemKind.JIRA_QUERY}),
    event_kinds=frozenset({"status_changed"}),
    item_config=ItemConfig,
    example={},
    read_together=read_together,
    interval_seconds=5,
    has_places=False,
    client=SourceClient,
)
