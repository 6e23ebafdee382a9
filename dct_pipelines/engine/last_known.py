"""What takes long to read, as it was a moment ago: a thread reads, and whoever asks need not wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

KEPT_TIMES = 20
"""So many times as long as it took what was read is kept: reading takes at most 5 % of one core."""
Value = TypeVar("Value")


class LastKnown(Generic[Value]):
    """The last answer of `read`, and how old it is. One reading at a time."""

    def __init__(self, read: Callable[[], Value], monotonic: Callable[[], float]) -> None:
        self._read = read
        self._monotonic = monotonic
        self._thread: threading.Thread | None = None
        self._known: tuple[Value, float] | None = None
        self._error: Exception | None = None
        self._due = float("-inf")

    def begin(self) -> None:
        """Have it read again, unless that is being done or was done just now."""
        if (self._thread is None or not self._thread.is_alive()) and self._monotonic() >= self._due:
            self._error = None
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def forget(self) -> None:
        """What was known is over: before something is read again, nothing is known."""
        self._known = None

    def get(self, patience_seconds: float) -> tuple[Value, float] | None:
        """What is known after so long at most, and its age in seconds; None: nothing yet.

        Raises what went wrong with the reading, once; then nothing is known.
        """
        if self._thread is not None:
            self._thread.join(patience_seconds)
        error, self._error = self._error, None
        if error is not None:
            raise error
        known = self._known
        return None if known is None else (known[0], max(0.0, self._monotonic() - known[1]))

    def _work(self) -> None:
        begun = self._monotonic()
        try:
            value = self._read()
        except Exception as error:  # noqa: BLE001 (whoever asks is told)
            self._known, self._error = None, error
            return
        over = self._monotonic()
        self._known, self._due = (value, over), over + KEPT_TIMES * (over - begun)
