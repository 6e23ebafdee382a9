"""Socket Mode's other end: a test sends envelopes, and sees what was acknowledged."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve


@dataclass
class SocketServer:
    """Connections as they came; `acknowledged` are ids of envelopes, in order."""

    url: str = ""
    connections: list[ServerConnection] = field(default_factory=list)
    opened: int = 0
    acknowledged: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, until: Any, seconds: float = 20) -> None:
        """Wait until `until()`, asked whenever something has changed here and now and then."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while not until():
                assert time.monotonic() < deadline, "it did not happen in time"
                self.changed.wait(0.05)

    def send(self, event: Mapping[str, Any], envelope_id: str | None = None, to: int = -1) -> str:
        """Deliver an event to one connection; returns the envelope's id."""
        envelope_id = envelope_id or uuid.uuid4().hex
        payload = {"type": "event_callback", "team_id": "T1", "event": dict(event)}
        envelope = {"type": "events_api", "envelope_id": envelope_id, "payload": payload}
        self.connections[to].send(json.dumps({**envelope, "accepts_response_payload": False}))
        return envelope_id

    def disconnect(self, to: int = -1) -> None:
        """Ask the client to renew a connection, as Slack does every few hours."""
        self.connections[to].send(json.dumps({"type": "disconnect", "reason": "refresh_requested"}))

    def serve(self, connection: ServerConnection) -> None:
        """One connection, until it closes."""
        with self.changed:
            self.connections.append(connection)
            self.opened += 1
            self.changed.notify_all()
        connection.send(json.dumps({"type": "hello", "num_connections": len(self.connections)}))
        with suppress(ConnectionClosed):
            for message in connection:
                with self.changed:
                    self.acknowledged.append(json.loads(message)["envelope_id"])
                    self.changed.notify_all()
        with self.changed:
            self.connections.remove(connection)
            self.changed.notify_all()


@contextmanager
def socket_server() -> Iterator[SocketServer]:
    """A server on loopback for the block."""
    served = SocketServer()
    with serve(served.serve, "127.0.0.1", 0) as server:
        served.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/link?ticket=t"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            for connection in list(served.connections):
                connection.close()
            server.shutdown()
            thread.join()
