"""What a channel has sent, remembered on disk: for channels whose receivers do not deduplicate.

Mail has no idempotency. Every message keeps its Message-ID in a repeat, so that a mail program may collapse
it; with this memory, for which room is made before, there is no repeat at all, except after a crash in the
moment between the server's "accepted" and our note of it.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from dct_pipelines.clients.files import private_directory, reserved_file, room_for
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.ports import ChannelPort, Receipt

LONGEST_NOTE = 160
OURS = re.compile(r"[0-9a-f]{64}|\.new-[a-z0-9_]+")


class SentOnce:
    """Wraps a channel: what was sent, or may have arrived, is not sent again."""

    def __init__(self, channel: ChannelPort, directory: Path) -> None:
        self._channel = channel
        self._directory = directory

    def send(self, notification: Notification) -> Receipt:
        """Send unless a note says that it went out earlier."""
        name = hashlib.sha256(notification.idempotency_key.encode()).hexdigest()
        with room_for(f"notes of what was sent in {self._directory}"):
            note = private_directory(self._directory) / name
            if note.exists():
                return _repeated(note.read_text(encoding="utf-8").strip())
            with reserved_file(note, LONGEST_NOTE) as keep:
                receipt = self._channel.send(notification)
                keep(f"{receipt.state} {receipt.message_id or ''}".encode()[:LONGEST_NOTE])
            return receipt


def forget_old(directory: Path, before: datetime, *, dry_run: bool = False) -> int:
    """Remove notes that were written before then; how many those are, or would be.

    As for other keys, nothing that is as old is done again. Only what is ours by its name, or was on its way
    to become so when its process was killed.
    """
    gone = 0
    with suppress(FileNotFoundError), os.scandir(directory) as found:
        for entry in found:
            if not OURS.fullmatch(entry.name):
                continue
            with suppress(FileNotFoundError):
                if datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC) >= before:
                    continue
                if not dry_run:
                    Path(entry.path).unlink()
                gone += 1
    return gone


def _repeated(note: str) -> Receipt:
    state, _, message_id = note.partition(" ")
    if state == "uncertain":
        return Receipt("uncertain", "an earlier attempt may have reached it", message_id or None)
    return Receipt("duplicate", "an earlier attempt sent it", message_id or None)
