"""Every theme in its order, whatever goes wrong in one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from dct_pipelines.domain.connected import Finding
from dct_pipelines.domain.diagnosis import Diagnosis, Told, fail, ok, warn
from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.gateway import Daemons
from dct_pipelines.domain.ports import Clock, SecretsPort, WorkspaceFilesPort
from dct_pipelines.domain.process import ProcessPort
from dct_pipelines.domain.quotas import Quotas
from dct_pipelines.engine.doctor import alerts, connections, database, machine, project, stack, upkeep, work
from dct_pipelines.settings import Settings
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.definitions.shelves import Stored

Look = Callable[[], Iterable[Told]]


@dataclass(frozen=True)
class Patient:
    """What is looked at. `ask` asks a connection's provider; None: nobody is asked.

    `buildable_jobs` are those that a code location would have now; `broken_triggers` says why some cannot
    work; `destinations` are those that alerts go to.
    """

    settings: Settings
    database: Database
    clock: Clock
    processes: ProcessPort
    secrets: SecretsPort
    daemons: Daemons
    quotas: Quotas
    buildable_jobs: Callable[[], frozenset[str]]
    broken_triggers: Callable[[Connection], dict[str, str]]
    workspaces: WorkspaceFilesPort
    destinations: Callable[[], Sequence[str]]
    ask: Callable[[Stored], tuple[Finding, ...]] | None = None


@dataclass
class Examination:
    """One visit. Where the database is away, what lies in it is not looked at, and that is said once."""

    patient: Patient
    _is_reachable: bool = field(default=False, init=False)

    def findings(self) -> Iterator[Diagnosis]:
        """Everything that was found, theme by theme."""
        patient = self.patient
        yield from _theme("project", partial(project.look, patient.settings))
        yield from _theme("machine", partial(machine.look, patient.settings, patient.processes))
        yield from _theme("database", self._database)
        yield from _theme("stack", partial(stack.look, patient.settings.home))
        if not self._is_reachable:
            yield from _theme("stack", self._unseen)
            return
        yield from _theme("stack", partial(stack.look_at_daemons, patient.daemons, patient.settings.home))
        yield from _theme(
            "connections",
            partial(
                connections.look, patient.database, patient.clock.now(), patient.secrets, ask=patient.ask
            ),
        )
        yield from _theme("work", self._work)
        yield from _theme("alerts", self._alerts)
        yield from _theme("maintenance", self._upkeep)

    def _database(self) -> Iterator[Told]:
        patient = self.patient
        yield from database.look_at_server(patient.settings, patient.database)
        if not database.is_made(patient.database):
            return
        try:
            with patient.database.connect() as connection:
                yield from database.look_at_tables(connection, patient.clock.now())
                self._is_reachable = database.is_usable(connection)
        except DctError as error:
            yield fail(f"it does not answer: {error}", "start the server, or correct DCT_DATABASE_URL")
            return
        if self._is_reachable:
            yield from database.look_for_differences(patient.database)

    def _unseen(self) -> Iterator[Told]:
        if not database.is_made(self.patient.database):
            yield ok("nothing is defined yet, because there is no database")
            return
        yield warn(
            "daemons, connections and executions were not looked at, because the database cannot be used",
            "mend the database first, and call the doctor again",
        )

    def _upkeep(self) -> Iterator[Told]:
        patient = self.patient
        up_since = stack.up_since(patient.settings.home)
        yield from upkeep.look(
            patient.database, patient.clock.now(), up_since, patient.settings.alert_credential_days
        )

    def _alerts(self) -> Iterator[Told]:
        patient = self.patient
        yield from alerts.look(patient.database, patient.clock.now(), patient.destinations())

    def _work(self) -> Iterator[Told]:
        patient = self.patient
        yield from work.look(
            patient.database,
            patient.clock.now(),
            patient.quotas,
            buildable_jobs=patient.buildable_jobs(),
            broken_triggers=patient.broken_triggers,
            workspaces=patient.workspaces,
        )


def _theme(name: str, look: Look) -> Iterator[Diagnosis]:
    """What a theme's checks say; a check that breaks says so instead of the rest of its theme."""
    try:
        for told in look():
            yield Diagnosis(theme=name, level=told.level, says=told.says, mend=told.mend)
    except DctError as error:
        told = fail(f"could not be looked at: {error}", "mend that first, and call the doctor again")
        yield Diagnosis(theme=name, level=told.level, says=told.says, mend=told.mend)
    except Exception as error:  # noqa: BLE001 - the doctor says what is wrong, also with himself
        told = fail(f"a check broke: {type(error).__name__}: {error}", "report this; the rest is true")
        yield Diagnosis(theme=name, level=told.level, says=told.says, mend=told.mend)
