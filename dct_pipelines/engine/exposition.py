"""What Prometheus scrapes: how the whole deployment is, read from the database that all processes share.

A scrape costs some short statements; answers are kept for a while, so that many scrapers, and one that is
impatient, cost no more than one. Why executions wait is worked out for each kind of them, of which there may
be very many: beside, so that a scrape does not wait for it. https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.gateway import Daemons
from dct_pipelines.engine import families
from dct_pipelines.engine.last_known import KEPT_TIMES, LastKnown
from dct_pipelines.engine.quotas import QuotaService
from dct_pipelines.engine.waiting import WaitingService
from dct_pipelines.store import gauges, totals
from dct_pipelines.store.database import Database

if TYPE_CHECKING:
    from prometheus_client import Metric

    from dct_pipelines.domain.ports import Clock

KEPT_SECONDS = 5.0
"""An answer is given again for at least so long, and for `KEPT_TIMES` times what it took."""
HASTE_SECONDS = 0.05
"""So long a scrape waits for why executions wait; then it tells what was found out last."""
MOST_COUNTS = 4
"""So many times some thousand endings are added up in one scrape; what is more is left for the next one."""
_log = logging.getLogger(__name__)


class Sample(Fact):
    """One sample, as JSON shows it."""

    name: str
    labels: dict[str, str]
    value: float


@dataclass
class Exposition:
    """Answers scrapes, from several threads. `daemons` says which of Dagster's daemons are alive.

    `patience_seconds`: how long it waits for why executions wait, before it tells what was known of that.
    A database that is away is an answer, too: `dct_up 0`, and nothing that would only be guessed.
    """

    database: Database
    clock: Clock
    quotas: QuotaService
    waiting: WaitingService
    daemons: Daemons | None
    version: str
    release: str
    monotonic: Callable[[], float] = time.monotonic
    patience_seconds: float = 60.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _kept: list[Metric] = field(default_factory=list)
    _kept_until: float = float("-inf")
    _is_away: bool = False

    def __post_init__(self) -> None:
        self._waits = LastKnown(self.waiting.by_reason, self.monotonic)

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type, in the newest format that `accept` asks for."""
        from prometheus_client.exposition import choose_encoder

        encode, content_type = choose_encoder(accept)
        return encode(_Kept(self.families())), content_type

    def samples(self) -> list[Sample]:
        """The same as data."""
        return [
            Sample(name=sample.name, labels=dict(sample.labels), value=float(sample.value))
            for family in self.families()
            for sample in family.samples
        ]

    def families(self) -> Sequence[Metric]:
        """All metrics, read now or a short while ago."""
        with self._lock:
            begun = self.monotonic()
            if begun >= self._kept_until:
                self._kept = list(self._read())
                over = self.monotonic()
                self._kept_until = over + max(KEPT_SECONDS, KEPT_TIMES * (over - begun))
            return self._kept

    def _read(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        yield InfoMetricFamily(
            "dct_build", "The release at work.", {"version": self.version, "rules": self.release}
        )
        try:
            found = list(self._found())
        except DctError as error:
            if not self._is_away:
                _log.warning("metrics cannot be read: %s", error)
            self._is_away, found = True, []
        else:
            self._is_away = False
        yield GaugeMetricFamily("dct_up", "Whether the database answered this scrape.", not self._is_away)
        yield from found

    def _found(self) -> Iterator[Metric]:
        with self.database.begin() as connection:
            for _ in range(MOST_COUNTS):
                if not totals.count_endings(connection):
                    break
        with self.database.connect() as connection:
            open_ = gauges.open_by_state(connection)
            if is_waiting := open_[ExecutionState.WAITING] > 0:
                self._waits.begin()
            else:
                self._waits.forget()
            yield from families.executions(connection, open_)
            yield from families.moments(connection)
            yield from families.triggers(connection)
            yield from families.connections(connection, self.clock.now())
            yield families.incidents(connection)
        yield from families.quotas(self.quotas.show())
        yield from self._daemons()
        known = self._waits.get(self.patience_seconds) if is_waiting else ((), 0.0)
        if known is not None:
            found, age = known
            yield from families.waits(found, age, self.clock.now() - timedelta(seconds=age))

    def _daemons(self) -> Iterator[Metric]:
        from prometheus_client.core import GaugeMetricFamily

        up = GaugeMetricFamily("dct_daemon_up", "Whether a daemon of Dagster's is alive.", labels=["daemon"])
        for one in self.daemons.daemons() if self.daemons is not None else ():
            up.add_metric([one.name], one.is_healthy)
        yield up


@dataclass(frozen=True)
class _Kept:
    """What is already read, as the library's encoders take it."""

    families: Sequence[Metric]

    def collect(self) -> Sequence[Metric]:
        return self.families
