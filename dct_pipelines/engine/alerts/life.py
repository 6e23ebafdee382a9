"""The dead man's switch: a sign of life that stops when something that everything needs does not work.

Who watches from outside hears of what we cannot tell ourselves: a machine that is off, a daemon that hangs, a
database that is gone. It says "working" only when an evaluation was stored (so the database takes writes and
Dagster's sensors turn), no connection that is switched on is overdue, and nothing that could start waits.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

log = logging.getLogger(__name__)


class LifeSign(Protocol):
    """Something that an outside monitor looks at."""

    def beat(self, at: datetime, problems: Sequence[str]) -> None:
        """Say how it is; without problems it works. May raise."""


@dataclass(frozen=True)
class DeadMansSwitch:
    """Gives every sign of life; one that fails is logged and keeps nobody from the others."""

    signs: Sequence[LifeSign]

    def beat(self, at: datetime, problems: Sequence[str]) -> list[str]:
        """Give the signs; returns what did not work of that."""
        faults = []
        for sign in self.signs:
            try:
                sign.beat(at, problems)
            except Exception as error:  # noqa: BLE001 - the monitor will notice; alerts go on
                faults.append(f"the sign of life failed: {error}")
                log.warning("the sign of life failed: %s", error)
        return faults
