"""Fixture: a project at work, from manifests to finished executions, without a process of Dagster's.

The command line, the listener, the dispatcher and the executor are the real ones, on a real database, real
repositories, commands and files; only Dagster's runs are in memory.

A test module takes it by name: `from tests.support.workshop import *  # noqa: F403`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Table, select, update

from dct_pipelines.bootstrap import App, build
from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.shapes import job_name
from dct_pipelines.engine.dispatch import DispatchOrder
from dct_pipelines.engine.execute import RunIdentity
from dct_pipelines.engine.reading import TickReport
from dct_pipelines.settings import load_settings
from dct_pipelines.store import tables
from dct_pipelines.store.patience import patiently
from dct_pipelines.store.shapes import read_shapes
from tests.fakes.gateway import FakeGateway
from tests.support.command_line import Dct, Said
from tests.support.repos import SampleRepository

__all__ = ["workshop"]

PATIENCE_SECONDS = 20
CONNECTION = """
kind: connection
name: local
type: git
base: repositories
"""
ITEM = """---
kind: item
name: {name}
type: git_repository
connection: local
location: {name}.git
"""


@dataclass
class Workshop:
    """A project in `folder`; `app` is the process that listens, dispatches and works there."""

    folder: Path
    dct: Dct
    gateway: FakeGateway = field(default_factory=FakeGateway)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.app: App = build(load_settings(), self.gateway)

    def repository(self, name: str = "shop") -> SampleRepository:
        """A repository with `main` and `qa`, not yet watched."""
        made = SampleRepository.create(self.folder / f"repositories/{name}.git")
        start = made.commit("main", {"README": "hello\n"})
        made.commit("qa", {"QA": "yes\n"}, parents=[start])
        return made

    def apply(self, manifests: str) -> Said:
        """Apply these manifests."""
        place = self.folder / "manifests.yaml"
        place.write_text(manifests)
        return self.dct("apply", "-f", str(place))

    def watch(self, *names: str, more: str = "") -> None:
        """Watch these repositories; `more` are further manifests."""
        said = self.apply(CONNECTION + "".join(ITEM.format(name=name) for name in names) + more)
        assert said.code == 0, said.err
        self.tick()

    def tick(self) -> TickReport:
        """A tick of the listener at a moment when everything is due."""
        with self.app.database.begin() as connection:
            connection.execute(update(tables.connections).values(next_due_at=None, not_before=None))
        return self.app.listening.tick("git")

    def dispatch(self) -> tuple[DispatchOrder, ...]:
        """Hand over everything that may be, as if every pause was over."""
        with self.app.database.begin() as connection:
            connection.execute(update(tables.trigger_executions).values(not_before=None))
        jobs = frozenset(map(job_name, read_shapes(self.app.database)))
        return self.app.dispatcher.dispatch(jobs, 100).orders

    def carry_out(self, order: DispatchOrder) -> Any:
        """The run that was ordered: claim, every action, close; returns the execution's row."""
        run = RunIdentity(str(uuid4()), order.job_name, order.execution_id, order.attempt)
        self.gateway.begin(run.run_id, order.execution_id, order.attempt)
        executor = self.app.executor
        ended = "FAILURE"
        try:
            executor.claim(run)
            for index in range(len(self.execution(order).actions)):
                executor.perform(run, index, self.log.append)
            executor.close(run)
            ended = "SUCCESS"
        except DctError as error:
            self.log.append(f"{type(error).__name__}: {error}")
        finally:
            executor.release(run)
            self.gateway.end(run.run_id, ended)
        return self.execution(order)

    def carry_out_all(self) -> list[Any]:
        """Everything that may be handed over now, one after the other."""
        return [self.carry_out(order) for order in self.dispatch()]

    def execution(self, order: DispatchOrder) -> Any:
        """Its row, as soon as the database is there."""
        rows = tables.trigger_executions

        def read() -> Any:
            with self.app.database.connect() as connection:
                return connection.execute(select(rows).where(rows.c.id == order.execution_id)).one()

        return patiently(read, PATIENCE_SECONDS)

    def rows(self, table: Table) -> list[Any]:
        """Everything in a table."""
        with self.app.database.connect() as connection:
            return list(connection.execute(select(table)))

    def events(self, item: str = "shop") -> list[tuple[str, str]]:
        """Kind and short subject of every event of an item, in order."""
        event, library = tables.events, tables.context_library
        found = (
            select(event.c.kind, event.c.subject)
            .join(library, library.c.id == event.c.item_id)
            .where(library.c.name == item)
            .order_by(event.c.seq)
        )
        with self.app.database.connect() as connection:
            return [(row.kind, row.subject.split("/", 2)[2]) for row in connection.execute(found)]

    def source(self, item: str = "shop") -> dict[str, Any]:
        """What `dct status` says of an item."""
        found = self.dct("status", "--json").data["sources"]
        return next(source for source in found if source["item"] == item)


@pytest.fixture
def workshop(dct: Dct, tmp_path: Path) -> Iterator[Workshop]:
    """A project without any definition."""
    made = Workshop(tmp_path, dct)
    yield made
    made.app.executor.stop()
    made.app.database.dispose()
