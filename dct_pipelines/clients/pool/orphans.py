"""Workers that outlived their zygote: they finish what they have, and the next zygote sees to it.

It cannot give them anything, and hears of their end only by their marks. Their siblings whose zygote lives,
as one that gives way to its successor does, are looked after by that one.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dct_pipelines.clients.pool.marks import Marked, marked
from dct_pipelines.clients.pool.signals import send_signal

LOOK_EVERY_SECONDS = 1.0
_log = logging.getLogger(__name__)


@dataclass
class Orphans:
    """What one zygote knows of other zygotes' workers. `asked` is when each was first told to stop."""

    marks: Path
    looked_at: float = 0.0
    at_work: tuple[Marked, ...] = ()
    asked: dict[int, float] = field(default_factory=dict)

    def keys(self, own: Iterable[int]) -> frozenset[str]:
        """What workers of all other zygotes work on now, orphans or not."""
        return frozenset(one.key for one in marked(self.marks, frozenset(own)))

    def stop(self, key: str, own: Iterable[int], now: float) -> bool:
        """Tell the orphan that works on this to stop; False when none does."""
        found = [one for one in marked(self.marks, frozenset(own)) if one.is_orphan and one.key == key]
        for one in found:
            self._ask(one, now)
        return bool(found)

    def urge(self, own: Iterable[int], now: float, grace_seconds: float, *, to_end: bool) -> None:
        """Interrupt those whose time is over, or all of them, and kill who does not stop; now and then."""
        if not to_end and now - self.looked_at < LOOK_EVERY_SECONDS:
            return
        self.looked_at = now
        self.at_work = tuple(one for one in marked(self.marks, frozenset(own)) if one.is_orphan)
        here = {one.pid for one in self.at_work}
        self.asked = {pid: at for pid, at in self.asked.items() if pid in here}
        for one in self.at_work:
            asked = self.asked.get(one.pid)
            if asked is None and (to_end or (one.until is not None and now > one.until)):
                self._ask(one, now)
            elif asked is not None and now - asked > grace_seconds:
                _log.warning("worker %d, whose zygote is gone, does not stop and is killed", one.pid)
                send_signal(one.pid, signal.SIGKILL)

    def _ask(self, orphan: Marked, now: float) -> None:
        self.asked.setdefault(orphan.pid, now)
        send_signal(orphan.pid, signal.SIGINT)
