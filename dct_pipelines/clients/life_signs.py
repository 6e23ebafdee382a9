"""Signs of life for monitors: a file on this machine, and a GET to a service that misses us.

Services such as healthchecks.io or Uptime Kuma's push monitors raise the alarm when their address was not
asked for some minutes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from dct_pipelines.clients.files import private_directory
from dct_pipelines.clients.http import HttpClient
from dct_pipelines.domain.errors import ActionFailed

TIMEOUT_SECONDS = 5.0
HEARTBEAT_FILE = "heartbeat.json"


class LifeFile:
    """`heartbeat.json`: when it was written, whether all works, and what does not. Replaced as a whole."""

    def __init__(self, home: Path) -> None:
        self._path = home / HEARTBEAT_FILE

    def beat(self, at: datetime, problems: Sequence[str]) -> None:
        """Write it; whoever reads it must also look how old it is."""
        state = {"at": at.isoformat(), "is_working": not problems, "problems": list(problems)}
        scratch = private_directory(self._path.parent) / f"{HEARTBEAT_FILE}.new"
        scratch.write_text(json.dumps(state, ensure_ascii=False) + "\n", encoding="utf-8")
        scratch.replace(self._path)


class LifeUrl:
    """Asks for the address of a monitor, only while everything works."""

    def __init__(self, client: HttpClient, url: str) -> None:
        self._client = client
        self._url = url

    def beat(self, at: datetime, problems: Sequence[str]) -> None:
        """GET it; the message of an error never holds the address, which is a secret."""
        if problems:
            return
        answer = self._client.send("GET", self._url, timeout_seconds=TIMEOUT_SECONDS)
        if not answer.is_success:
            raise ActionFailed(f"the monitor answered {answer.status}; check DCT_HEARTBEAT_URL")
