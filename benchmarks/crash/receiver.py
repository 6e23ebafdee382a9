"""The outside receiver: an HTTP server that writes down each POST's idempotency key, repeats included."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter, defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """Counts posts. `delay_seconds` makes each take a moment, so that kills fall into the middle of one."""

    def __init__(self, delay_seconds: float = 0.15) -> None:
        self.posts: Counter[str] = Counter()
        self.keys_by_text: dict[str, set[str]] = defaultdict(set)
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(self.headers["Idempotency-Key"], json.loads(body))
                time.sleep(delay_seconds)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_arguments: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"

    def take(self, key: str, body: dict[str, Any]) -> None:
        """Write one post down."""
        with self._lock:
            self.posts[key] += 1
            self.keys_by_text[str(body["text"])].add(key)

    @property
    def raw_repeats(self) -> int:
        """Posts beyond the first of each key: what the receiver deduplicates."""
        return sum(self.posts.values()) - len(self.posts)

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
