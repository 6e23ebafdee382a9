"""A channel in memory that deduplicates by idempotency key, as the contract asks."""

from __future__ import annotations

from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.ports import Receipt


class FakeChannel:
    """Keeps what reached its people. `refuses` maps receivers to the error that they meet."""

    def __init__(self, refuses: dict[str, DctError] | None = None, uncertain: frozenset[str] = frozenset()):
        self.received: dict[str, Notification] = {}
        self.refuses = dict(refuses or {})
        self.uncertain = uncertain

    def send(self, notification: Notification) -> Receipt:
        if error := self.refuses.get(notification.receiver):
            raise error
        if notification.idempotency_key in self.received:
            return Receipt("duplicate", "had it already")
        self.received[notification.idempotency_key] = notification
        return Receipt("uncertain" if notification.receiver in self.uncertain else "sent", "kept")
