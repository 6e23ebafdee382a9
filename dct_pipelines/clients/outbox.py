"""The channel that needs no account: one JSON file a message, for whoever reads the directory."""

from __future__ import annotations

import json
from pathlib import Path

from dct_pipelines.clients.files import create_file, disk_error, private_directory
from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.ports import Clock, Receipt


class FileOutbox:
    """Files named by idempotency key, so that the same message exists once, however often it is sent.

    What a restore has put `aside` was sent before the backup, and is not sent again.
    """

    def __init__(self, directory: Path, clock: Clock, aside: Path | None = None) -> None:
        self._directory = directory
        self._aside = aside
        self._clock = clock

    def send(self, notification: Notification) -> Receipt:
        """Make the file; a full or unwritable disk is tried again."""
        key = notification.idempotency_key
        if not key.replace("-", "").replace("_", "").isalnum() or not key.isascii() or len(key) > 128:
            raise ActionFailed(f"the idempotency key {key[:80]!r} cannot be the name of a file")
        message = notification.model_dump(mode="json") | {"sent_at": self._clock.now().isoformat()}
        path = self._directory / f"{key}.json"
        if self._aside is not None and (earlier := self._aside / path.name).exists():
            return Receipt("duplicate", str(earlier))
        try:
            private_directory(self._directory)
            created = create_file(path, json.dumps(message, ensure_ascii=False, indent=2).encode() + b"\n")
        except OSError as error:
            raise disk_error(f"the outbox {self._directory} cannot be written", error) from error
        return Receipt("sent" if created else "duplicate", str(path))
