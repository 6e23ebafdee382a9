"""A manager at work on a test's database, and what it reads of the outside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from dct_pipelines.domain.manifest import ConnectionSpec, ItemSpec
from dct_pipelines.engine.manage import ApplyReport, Catalog, Manager, Verb, Wanted
from dct_pipelines.engine.manifests.source import parse_text
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions import triggers
from dct_pipelines.store.order import advance, lock_order
from tests.fakes.ports import FakeClock, FakeSecrets

LIBRARY = """
kind: connection
name: local
type: git
---
kind: item
name: app
type: git_repository
connection: local
location: app.git
---
kind: suite
name: unit
command: [make, test]
---
kind: environment
name: qa
repository: app
branch: qa
deployer: {type: local, command: [./deploy]}
---
kind: draft
name: review
title: Look
repository: app
suites: [unit]
"""
TRIGGER = """
kind: trigger
name: ready
items: [app]
conditions:
  - {type: branch_ready, config: {branch: feature/*}}
actions:
  - type: merge_branches
    config: {repository: app, source: "{{ event.branch }}", target: qa}
"""


@dataclass
class Refreshed:
    problems: list[str] = field(default_factory=list)


@dataclass
class Outside:
    """What readings of items say; remembers what was read, and whether triggers existed then."""

    database: Database
    error: Exception | None = None
    read: list[tuple[list[UUID], int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @contextmanager
    def recorded(self, item_ids: Sequence[UUID]) -> Iterator[Refreshed]:
        with self.database.connect() as connection:
            self.read.append((list(item_ids), len(triggers.live(connection))))
        yield Refreshed(self.problems)

    def probe(self, _connection: ConnectionSpec, _item: ItemSpec) -> str:
        if self.error is not None:
            raise self.error
        return "2 branches"


@dataclass
class Desk:
    """A manager on a fresh database."""

    database: Database
    clock: FakeClock
    outside: Outside
    secrets: FakeSecrets
    manager: Manager
    catalog: Catalog

    def apply(self, text: str, by: str = "local", **options: Any) -> ApplyReport:
        documents, faults = parse_text(text, "team.yaml", Path("/srv"))
        assert faults == []
        dry_run = options.pop("dry_run", False)
        return self.manager.apply(Wanted(documents, by, **options), dry_run=dry_run)

    def rows(self, table: str) -> int:
        with self.database.connect() as connection:
            return connection.scalar(select(func.count()).select_from(getattr(tables, table))) or 0

    def versions(self, name: str = "ready") -> list[Any]:
        """(version, status, from_seq, to_seq), oldest first."""
        v, t = tables.trigger_versions, tables.dynamic_context_triggers
        statement = (
            select(v.c.version, v.c.status, v.c.from_seq, v.c.to_seq)
            .join(t, t.c.id == v.c.trigger_id)
            .where(t.c.name == name)
            .order_by(v.c.version)
        )
        with self.database.connect() as connection:
            return [tuple(row) for row in connection.execute(statement)]

    def pass_events(self, count: int) -> None:
        with self.database.begin() as connection:
            lock_order(connection)
            advance(connection, seqs=count)


def desk_on(database: Database) -> Desk:
    """A manager and its catalog on that database."""
    clock, outside, secrets = FakeClock(), Outside(database), FakeSecrets()
    manager = Manager(database, clock, outside.recorded, outside.probe, secrets)
    return Desk(database, clock, outside, secrets, manager, Catalog(database, outside.probe))


def verbs(report: ApplyReport) -> dict[str, Verb]:
    """What became of each definition, by name."""
    return {change.name: change.verb for change in report.changes}
