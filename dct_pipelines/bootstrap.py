"""The only place that names concrete clients: builds everything that a process needs, each part on first use.

`dct --help` and a run worker pay only for what they touch. Entry points hand in the adapter to Dagster.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dct_pipelines.domain.ports import RunGateway
from dct_pipelines.settings import Settings
from dct_pipelines.store.database import Database
from dct_pipelines.store.shapes import KnownShapes, known_shapes

DEFINITIONS_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class App:
    """One process's services over one database. Not to be carried across a fork."""

    settings: Settings
    gateway: RunGateway | None = None

    @cached_property
    def database(self) -> Database:
        """The pool of connections to schema `dct`."""
        return Database.open(self.settings)


def build(settings: Settings, gateway: RunGateway | None = None) -> App:
    """Wire the services for `settings`; nothing is connected or read before its first use."""
    return App(settings, gateway)


def load_shapes(settings: Settings) -> KnownShapes:
    """The shapes that definitions are built from, within seconds and whatever the database does."""
    hurried = {"statement_timeout_seconds": DEFINITIONS_TIMEOUT_SECONDS, "database_pool_size": 1}
    return known_shapes(settings.model_copy(update=hurried))
