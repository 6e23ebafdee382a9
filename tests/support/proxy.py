"""A way to a server that a test can cut: before or after a statement arrives, or altogether."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url

_CHUNK_BYTES = 65536


@dataclass
class Proxy:
    """Carries bytes between a TCP port and the server's socket, as long as it is up."""

    server: Path | int
    """A Unix socket, or a port of this machine."""
    port: int = 0
    host: str = "127.0.0.1"
    """Where it listens itself."""
    _listener: socket.socket | None = None
    _pairs: dict[socket.socket, socket.socket] = field(default_factory=dict)
    _left: int | None = None
    _is_delivered: bool = False
    _comes_back_after_seconds: float | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    was_cut: bool = False
    is_closing: bool = False

    def up(self) -> None:
        """Take connections (again), without any cut to come."""
        with self._lock:
            self._left = None
            if self._listener is None and not self.is_closing:
                self._listener = socket.create_server((self.host, self.port))
                self.port = self._listener.getsockname()[1]
                threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def down(self) -> None:
        """Break every connection and refuse new ones."""
        with self._lock:
            if self._listener is not None:
                # Closing alone would leave accept() waiting.
                with suppress(OSError):
                    self._listener.shutdown(socket.SHUT_RDWR)
                self._listener.close()
                self._listener = None
            for one in [*self._pairs, *self._pairs.values()]:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            self._pairs.clear()

    def cut_at(self, message: int, *, is_delivered: bool, back_after_seconds: float | None = None) -> None:
        """Go down at the so-many-th message to the server from now on, which still arrives if `is_delivered`.

        With `back_after_seconds` it comes back by itself.
        """
        with self._lock:
            self.was_cut = False
            self._left, self._is_delivered = message, is_delivered
            self._comes_back_after_seconds = back_after_seconds

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = self._connected()
            with self._lock:
                if self._listener is not listener:
                    client.close()
                    server.close()
                    return
                self._pairs[client] = server
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _connected(self) -> socket.socket:
        if isinstance(self.server, int):
            return socket.create_connection(("127.0.0.1", self.server))
        server = socket.socket(socket.AF_UNIX)
        server.connect(str(self.server))
        return server

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        with client, server, selectors.DefaultSelector() as selector, suppress(OSError):
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in selector.select():
                    source, target = key.fileobj, key.data
                    assert isinstance(source, socket.socket)
                    chunk = source.recv(_CHUNK_BYTES)
                    if not chunk or not self._pass(chunk, target, is_question=source is client):
                        return

    def _pass(self, chunk: bytes, target: socket.socket, *, is_question: bool) -> bool:
        with self._lock:
            is_cut = is_question and self._left is not None and self._counted() == 0
            if not is_cut or self._is_delivered:
                target.sendall(chunk)
            if is_cut:
                if self._is_delivered:
                    # The server's answer says that it has done it; nobody else hears that.
                    target.settimeout(5)
                    target.recv(1)
                self._cut()
            return not is_cut

    def _counted(self) -> int:
        assert self._left is not None
        self._left -= 1
        return self._left

    def _cut(self) -> None:
        self._left = None
        self.was_cut = True
        self.down()
        if self._comes_back_after_seconds is not None:
            timer = threading.Timer(self._comes_back_after_seconds, self.up)
            timer.daemon = True
            timer.start()


@contextmanager
def proxy_to(url: str) -> Iterator[tuple[Proxy, str]]:
    """A proxy to the embedded server of `url`, and the URL through it."""
    direct = make_url(url)
    folder, port = direct.query["host"], direct.query["port"]
    proxy = Proxy(Path(f"{folder}/.s.PGSQL.{port}"))
    proxy.up()
    through = direct.set(host="127.0.0.1", port=proxy.port, query={})
    try:
        yield proxy, through.render_as_string(hide_password=False)
    finally:
        proxy.is_closing = True
        proxy.down()
