"""Making the partitions of the coming months: nobody waits, and none is missing when its month begins."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.retention import months_ahead
from dct_pipelines.engine.pacing import DEFAULT_PACE, Pace, in_a_gap
from dct_pipelines.store import months as store
from dct_pipelines.store import partitions
from dct_pipelines.store.database import Database
from dct_pipelines.store.partitions import PAYLOADS, Payload

HASTE_SECONDS = 0.5
"""After that long a start makes no further month; the one that it is at takes less than as long again."""
SAFELY_AHEAD = timedelta(days=1)
"""So far ahead nothing of a month can come in while its partition is being made."""


@dataclass(frozen=True)
class Months:
    """Makes this month and those that come. What cannot be made now has the default partition as a net."""

    database: Database
    clock: Clock
    pace: Pace = DEFAULT_PACE

    def missing(self) -> list[tuple[datetime, Payload]]:
        """Which months have no partition, of which table; the earliest first."""
        found = []
        for payload in PAYLOADS:
            with self.database.connect() as connection:
                missing = partitions.missing(connection, payload, months_ahead(self.clock.now()))
            found += [(month, payload) for month in missing]
        return sorted(found, key=lambda one: one[0])

    def make(self) -> tuple[str, ...]:
        """Make what is missing; says of each what became of it."""
        self.clear()
        said = [self._made(payload, month) for month, payload in self.missing()]
        return (*said, *self.refused())

    def refused(self) -> list[str]:
        """What a default partition would refuse when it comes, because a promise could not be withdrawn."""
        return [
            f"{payload.default.name} refuses what {promise} names, until that is withdrawn"
            for payload, promise in self._promised()
        ]

    def make_in_haste(self) -> tuple[str, ...]:
        """The same in a moment: what would take longer, or meets somebody, is left for the daily turn."""
        hasty = replace(self, pace=replace(self.pace, tries=1))
        begun = time.monotonic()
        hasty.clear()
        said = []
        for month, payload in hasty.missing():
            if time.monotonic() - begun < HASTE_SECONDS and not hasty.is_large(payload):
                said.append(hasty._made(payload, month))
        return tuple(said)

    def is_large(self, payload: Payload) -> bool:
        """Whether the default partition is more than may be read while everybody waits."""
        with self.database.connect() as connection:
            size = partitions.pages_of(connection, payload.default.fullname)
        return size > self.pace.most_read_pages

    def clear(self) -> None:
        """Withdraw what somebody promised who was cut off: it would refuse that month when it comes."""
        for payload, promise in self._promised():
            self._withdraw(payload, promise)

    def _promised(self) -> list[tuple[Payload, str]]:
        """What default partitions have been made to refuse."""
        with self.database.connect() as connection:
            return [(one, promise) for one in PAYLOADS for promise in store.promises(connection, one)]

    def _made(self, payload: Payload, month: datetime) -> str:
        name, default = partitions.name_of(payload, month), payload.default.name
        is_large = self.is_large(payload)
        with partitions.patiently(self.database) as connection:
            strays = store.strays(connection, payload, month)
        if strays > (0 if is_large else self.pace.most_moved):
            are = counted(strays, "row of it is", "rows of it are")
            return f"{name} is not made: {are} in {default} already, and go from there one by one"
        if is_large and month - self.clock.now() < SAFELY_AHEAD:
            why = f"{default} is large, and would be read while everybody waits"
            return f"{name} is not made: {why}; what comes goes there, and from there row by row"
        if is_large:
            is_made = self._make_beside(payload, month)
        else:
            moved = in_a_gap(self.database, self.pace, lambda one: store.make(one, payload, month))
            is_made = moved is not None
        return f"made {name}" if is_made else f"{name} is to be made the next time"

    def _make_beside(self, payload: Payload, month: datetime) -> bool:
        """Without reading the default partition while others wait."""
        promise = in_a_gap(self.database, self.pace, lambda one: store.promise(one, payload, month))
        if promise is None:
            return False
        is_made = None
        try:
            with partitions.patiently(self.database) as connection:
                store.prove(connection, payload, promise)
                connection.commit()
            is_made = in_a_gap(
                self.database, self.pace, lambda one: store.make_proven(one, payload, month, promise)
            )
        finally:
            if not is_made:
                self._withdraw(payload, promise)
        return bool(is_made)

    def _withdraw(self, payload: Payload, promise: str) -> None:
        in_a_gap(self.database, self.pace, lambda one: store.withdraw(one, payload, promise))
