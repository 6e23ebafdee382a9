"""Status: are the sources read, what waits and why, what runs, is Dagster alive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.gateway import DaemonHealth, Daemons
from dct_pipelines.domain.incidents import IncidentState
from dct_pipelines.domain.process import IsolationStatus, ProcessPort
from dct_pipelines.domain.restored import PAUSED, Restored
from dct_pipelines.domain.source import SourceStory
from dct_pipelines.engine.quotas import QuotaReport, QuotaService
from dct_pipelines.engine.sources import source_stories
from dct_pipelines.engine.waiting import Waiting, WaitingService
from dct_pipelines.store import restoring
from dct_pipelines.store import status as store
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.incidents import count_by_state

if TYPE_CHECKING:
    from dct_pipelines.domain.ports import Clock

SHOWN = 50
NOBODY_WORKS = "no daemon of Dagster runs, so that nothing is read and nothing starts: `dct up`"


class Executing(Fact):
    """An execution that holds a run slot."""

    id: UUID
    trigger: str | None
    subject: str | None
    status: str
    job_name: str
    attempt: int
    dispatched_at: datetime | None
    started_at: datetime | None
    dagster_run_id: str | None


class Status(Fact):
    """The state of the deployment at one moment."""

    at: datetime
    sources: tuple[SourceStory, ...]
    waiting: tuple[Waiting, ...]
    executing: tuple[Executing, ...]
    ended_last_hour: dict[str, int]
    leases: dict[str, UUID]
    quotas: QuotaReport
    daemons: tuple[DaemonHealth, ...]
    isolation: IsolationStatus
    broken_triggers: dict[str, str]
    incidents: dict[str, int]
    """How many are open, and how many acknowledged."""
    restored: Restored | None
    is_unattended: bool
    """There is work to do, or there may be at any time, and no daemon of Dagster is known that does it."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Sentences about what needs somebody's attention; empty is well."""
        found = [PAUSED] if self.restored is not None else []
        found += [source.in_words(self.at) for source in self.sources if not source.is_well]
        found += [f"Dagster's daemon {one.name} is not running" for one in self.daemons if not one.is_healthy]
        found += [f"trigger {name} cannot work: {why}" for name, why in self.broken_triggers.items()]
        if count := self.incidents.get(IncidentState.OPEN, 0):
            found.append(f"{counted(count, 'incident is', 'incidents are')} open: dct alert list")
        found += [NOBODY_WORKS] if self.is_unattended else []
        return tuple(dict.fromkeys((*found, *self.isolation.warnings)))


@dataclass(frozen=True)
class StatusService:
    """Answers `dct status`.

    `broken_triggers` says by name why triggers are not valid in this release. To know it takes all
    conditions, hence it is asked only where there are triggers.
    """

    database: Database
    clock: Clock
    processes: ProcessPort
    quotas: QuotaService
    waiting: WaitingService
    daemons: Daemons | None
    broken_triggers: Callable[[Connection], dict[str, str]]

    def status(self) -> Status:
        """How things stand now."""
        now = self.clock.now()
        with self.database.connect() as connection:
            executing = tuple(
                Executing.model_validate(dict(row._mapping)) for row in store.executing(connection, SHOWN)
            )
            ended = store.ended_since(connection, now - timedelta(hours=1))
            sources = source_stories(connection)
            incidents = count_by_state(connection)
            has_triggers = store.has_triggers(connection)
            broken = self.broken_triggers(connection) if has_triggers else {}
            restored = restoring.state(connection)
            leases = {row.key: row.execution_id for row in store.held_leases(connection)}
        waiting = self.waiting.by_reason()
        daemons = tuple(self.daemons.daemons()) if self.daemons is not None else ()
        has_work = has_triggers or bool(waiting)
        return Status(
            at=now,
            sources=sources,
            waiting=waiting,
            executing=executing,
            ended_last_hour=ended,
            leases=leases,
            quotas=self.quotas.show(),
            daemons=daemons,
            isolation=self.processes.isolation_status(),
            broken_triggers=broken,
            incidents=incidents,
            restored=restored,
            is_unattended=self.daemons is not None and not daemons and has_work,
        )
