"""What a command prints, bounded: the head and the tail are kept, the middle is counted and dropped."""

from __future__ import annotations

from collections.abc import Callable

from dct_pipelines.domain.process import Stream

_LONGEST_LINE_BYTES = 8192
MOST_LINES = 5000
"""That a listener hears of one stream: it may store each line, which takes a millisecond or two."""


class Captured:
    """The first and the last bytes of a stream, in memory bounded by twice `limit_bytes`."""

    def __init__(self, limit_bytes: int) -> None:
        self._head_limit = limit_bytes - limit_bytes // 2
        self._tail_limit = limit_bytes // 2
        self._head = bytearray()
        self._tail = bytearray()
        self.total_bytes = 0

    def add(self, chunk: bytes) -> None:
        """Keep what still fits at the head; let the rest push the tail along."""
        self.total_bytes += len(chunk)
        if (room := self._head_limit - len(self._head)) > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        self._tail += chunk
        if len(self._tail) > 2 * self._tail_limit + 65536:
            self._trim()

    @property
    def truncated(self) -> bool:
        """Whether something was left out."""
        return self.total_bytes > self._head_limit + self._tail_limit

    def value(self) -> bytes:
        """Everything, or head, a line that counts what was left out, and tail."""
        self._trim()
        if not self.truncated:
            return bytes(self._head + self._tail)
        left_out = self.total_bytes - len(self._head) - len(self._tail)
        return bytes(self._head) + f"\n[... {left_out} bytes left out ...]\n".encode() + bytes(self._tail)

    def _trim(self) -> None:
        del self._tail[: max(0, len(self._tail) - self._tail_limit)]


class Lines:
    """Cuts a stream into lines for a listener, who hears at most so many lines and bytes, and is told so."""

    def __init__(self, stream: Stream, listener: Callable[[Stream, str], None], limit_bytes: int) -> None:
        self._stream = stream
        self._listener = listener
        self._left_bytes = limit_bytes
        self._left_lines = MOST_LINES
        self._partial = b""

    def add(self, chunk: bytes) -> None:
        """Hand over every line that is complete; an endless line is cut."""
        if self._is_over():
            return
        *lines, self._partial = (self._partial + chunk).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._partial) > _LONGEST_LINE_BYTES:
            self._tell(self._partial)
            self._partial = b""

    def close(self) -> None:
        """Hand over a last line without an end."""
        if self._partial:
            self._tell(self._partial)
            self._partial = b""

    def _is_over(self) -> bool:
        return self._left_bytes <= 0 or self._left_lines <= 0

    def _tell(self, line: bytes) -> None:
        if self._is_over():
            return
        self._left_bytes -= len(line) + 1
        self._left_lines -= 1
        self._listener(self._stream, line[:_LONGEST_LINE_BYTES].decode("utf-8", "replace").rstrip("\r"))
        if self._is_over():
            self._listener(self._stream, "[... further output is not shown ...]")
