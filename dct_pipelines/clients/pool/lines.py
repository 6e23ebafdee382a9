"""The zygote's connections: lines of text each way, none of which can hold up the loop.

What cannot be sent at once is kept and sent when the other side reads; who says nothing, or does not read,
for long, or sends a line without an end, is hung up on.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

LONGEST_LINE_BYTES = 16 * 1024 * 1024
MOST_CALLERS = 200
SILENT_SECONDS = 30.0
NO_ROOM_SECONDS = 0.05
_CHUNK_BYTES = 1 << 20


@dataclass(eq=False)
class Line:
    """One connection. `pid` is the worker behind it; None for a caller."""

    socket: socket.socket
    pid: int | None = None
    moved_at: float = field(default_factory=time.monotonic)
    unsent: bytearray = field(default_factory=bytearray)
    _begun: bytearray = field(default_factory=bytearray)

    @property
    def is_open(self) -> bool:
        """Whether nobody has hung up."""
        return self.socket.fileno() >= 0

    def receive(self) -> list[bytes] | None:
        """The lines that have come; None when no other will come."""
        try:
            data = self.socket.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            return None
        self.moved_at = time.monotonic()
        self._begun += data
        if not data or len(self._begun) > LONGEST_LINE_BYTES:
            return None
        if b"\n" not in data:
            return []
        *whole, rest = self._begun.split(b"\n")
        self._begun = bytearray(rest)
        return [bytes(one) for one in whole]


class Lines:
    """All connections of a zygote, and what else wakes its loop. Used by one thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._callers: list[Line] = []

    def on(self, source: socket.socket, what: Callable[[], object]) -> None:
        """Call this whenever there is something at a socket that is no line."""
        self._selector.register(source, selectors.EVENT_READ, what)

    def add(self, line: Line) -> Line:
        """Listen to it. Of too many callers the one that was silent longest has to go."""
        line.socket.setblocking(False)
        self._selector.register(line.socket, selectors.EVENT_READ, line)
        if line.pid is None:
            if len(self._callers) >= MOST_CALLERS:
                self.make_room()
            self._callers.append(line)
        return line

    def heard(self, seconds: float) -> Iterator[Line]:
        """Wait so long for anything to come, send what others are ready for, and give who said something."""
        for key, events in self._selector.select(seconds):
            if not isinstance(key.data, Line):
                key.data()
                continue
            if events & selectors.EVENT_WRITE:
                self._flush(key.data)
            if events & selectors.EVENT_READ and key.data.is_open:
                yield key.data
        silent = time.monotonic() - SILENT_SECONDS
        for line in [one for one in self._callers if one.moved_at < silent]:
            self.hang_up(line)

    def say(self, line: Line, data: bytes) -> None:
        """Send this, now or as soon as the other side reads."""
        line.unsent += data
        if line.is_open:
            self._flush(line)
        if line.pid is None and len(line.unsent) > LONGEST_LINE_BYTES:
            self.hang_up(line)

    @property
    def has_unsent_answers(self) -> bool:
        """Whether a caller has not got all of its answer."""
        return any(line.unsent for line in self._callers)

    def hang_up(self, line: Line | None) -> None:
        """End a connection; again does nothing."""
        if line is None or not line.is_open:
            return
        self._selector.unregister(line.socket)
        line.socket.close()
        if line in self._callers:
            self._callers.remove(line)

    def make_room(self) -> None:
        """No descriptor is left: hang up on the caller who was silent longest, or pause for a moment."""
        if self._callers:
            self.hang_up(min(self._callers, key=lambda one: one.moved_at))
        else:
            time.sleep(NO_ROOM_SECONDS)

    def leave_to_parent(self) -> None:
        """In a forked child: close every descriptor without a change of what the parent listens to."""
        sources = [key.fileobj for key in self._selector.get_map().values()]
        self._selector.close()
        for source in sources:
            if isinstance(source, socket.socket):
                source.close()

    def _flush(self, line: Line) -> None:
        try:
            sent = line.socket.send(line.unsent)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.hang_up(line)
            return
        if sent:
            line.moved_at = time.monotonic()
            del line.unsent[:sent]
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if line.unsent else 0)
        with contextlib.suppress(KeyError):
            if self._selector.get_key(line.socket).events != wanted:
                self._selector.modify(line.socket, wanted, line)
