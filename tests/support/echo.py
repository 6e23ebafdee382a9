"""Providers that repeat the credential in whatever they answer: over HTTP, and over IMAP."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote


@dataclass
class Echo:
    """`status` is what it answers. `heard` are the credentials that it was told."""

    port: int = 0
    status: int = 401
    heard: set[str] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def body(self, authorization: str, sent: bytes) -> bytes:
        """All that was sent, at every place where a provider of ours looks for words, ids or data."""
        credential = authorization.partition(" ")[2]
        try:
            decoded = base64.b64decode(credential, validate=True).decode()
        except ValueError:
            decoded = credential
        self.heard |= {decoded}
        words = f"{authorization} {decoded} {quote(decoded, safe='')} {decoded.rpartition(':')[2]}"
        issue = {"id": words, "key": words, "fields": {"summary": words, "updated": words}}
        told: dict[str, Any] = {
            **dict.fromkeys(("message", "error_description", "error", "detail", "user", "login"), words),
            **dict.fromkeys(("url", "team", "name", "id", "key", "displayName"), words),
            "errorMessages": [words],
            "errors": [{"message": words, "type": words}],
            "issues": [issue],
            "messages": [{"ts": "1.5", "type": "message", "text": 7, "user": words}],
            "data": {"viewer": {"login": words}, "nodes": [words], "repository": words},
            "ok": False,
            "sent": sent.decode("latin-1"),
        }
        return json.dumps(told).encode()


@contextmanager
def echo() -> Iterator[Echo]:
    """A running HTTP server; closed at the end."""
    kept = Echo()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            authorization = self.headers.get("authorization", "") or self.headers.get("private-token", "")
            body = kept.body(authorization, sent)
            self.send_response(kept.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.send_header("x-was", authorization)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - named by the base class

        def log_message(self, format: str, *args: object) -> None:
            """Be silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()


@dataclass
class EchoingImap:
    """While it `is_away` it hangs up at once."""

    port: int = 0
    is_away: bool = False


@contextmanager
def echoing_imap() -> Iterator[EchoingImap]:
    """An IMAP server that refuses every login in the words of the login."""
    kept = EchoingImap()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            if kept.is_away:
                return
            self.wfile.write(b"* OK ready\r\n")
            while line := self.rfile.readline():
                tag, _, words = line.strip().partition(b" ")
                if words.upper() == b"CAPABILITY":
                    self.wfile.write(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n" + tag + b" OK done\r\n")
                    continue
                if words.upper().startswith(b"AUTHENTICATE") and len(words.split()) == 2:
                    self.wfile.write(b"+ \r\n")
                    words = self.rfile.readline().strip()
                decoded = words
                for word in words.split():
                    try:
                        decoded += b" " + base64.b64decode(word, validate=True).replace(b"\0", b" ")
                    except ValueError:
                        continue
                self.wfile.write(tag + b" NO [AUTHENTICATIONFAILED] " + decoded + b"\r\n")

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            kept.port = server.server_address[1]
            yield kept
        finally:
            server.shutdown()
            thread.join()
