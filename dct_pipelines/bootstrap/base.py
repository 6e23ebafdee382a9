"""What the services of one process stand on, and those that need nothing more: quotas, metrics, backups."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import dct_pipelines
from dct_pipelines import registry
from dct_pipelines.bootstrap.outside import Outside
from dct_pipelines.domain.errors import SchemaMismatch
from dct_pipelines.domain.gateway import RunGateway
from dct_pipelines.settings import Settings
from dct_pipelines.store import revision
from dct_pipelines.store.database import Database

if TYPE_CHECKING:
    from dct_pipelines.domain.metrics import MetricsPort
    from dct_pipelines.engine.backup import Backups
    from dct_pipelines.engine.quotas import QuotaService
    from dct_pipelines.engine.restore import Restoring
    from dct_pipelines.engine.restored import RestoredService


@dataclass(frozen=True)
class Base:
    """One process's database, outside world and release, and what needs nothing more."""

    settings: Settings
    gateway: RunGateway | None = None

    @cached_property
    def outside(self) -> Outside:
        """The outside world."""
        return Outside(self.settings)

    @cached_property
    def database(self) -> Database:
        """The pool of connections to schema `dct`."""
        return Database.open(self.settings)

    def ready(self) -> Self:
        """Bring an embedded database to this release; a server of one's own must have been brought there.

        Raises `SchemaMismatch` when `dct db migrate` has to be run first.
        """
        with self.database.connect() as connection:
            found = revision.found(connection)
        if found == (wanted := revision.newest()):
            return self
        if self.settings.database_url is not None:
            state = f"is at revision {found}" if found else "has no tables of ours yet"
            raise SchemaMismatch(f"the database {state}, this release needs {wanted}; run `dct db migrate`")
        from dct_pipelines.store.schema import migrate

        migrate(self.database)
        return self

    @cached_property
    def release(self) -> str:
        """The release with the versions of its rules, as it is stored with every event and decision."""
        from dct_pipelines.domain.release import release_name

        return release_name(dct_pipelines.__version__, registry.conditions())

    @cached_property
    def quotas(self) -> QuotaService:
        """Shows and changes quotas."""
        from dct_pipelines.engine.quotas import QuotaService

        return QuotaService(self.database, self.settings.quotas)

    @cached_property
    def metrics(self) -> MetricsPort:
        """Computes metric tables and reads them back."""
        from dct_pipelines.engine.metrics import MetricsService

        return MetricsService(self.database, self.settings.quotas, self.settings.ageing_step_seconds)

    @cached_property
    def backups(self) -> Backups:
        """Makes backups."""
        from dct_pipelines.engine.backup import Backups

        return Backups(self.database, self.settings.home, self.outside.clock)

    @cached_property
    def restoring(self) -> Restoring:
        """Puts backups back."""
        from dct_pipelines.engine.restore import Restoring

        return Restoring(self.database, self.settings.home, self.outside.clock)

    @cached_property
    def restored(self) -> RestoredService:
        """Decides what a restored deployment does."""
        from dct_pipelines.engine.restored import RestoredService

        return RestoredService(self.database)
