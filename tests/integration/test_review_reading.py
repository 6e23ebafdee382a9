"""Reads that were overtaken: what was stored after they began stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from sqlalchemy import func, select, update

from dct_pipelines.domain.git_refs import RefSnapshot
from dct_pipelines.engine.listening import Listening
from dct_pipelines.engine.readers import Readers
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions.watching import forget_place
from dct_pipelines.store.order import lock_order
from tests.support.world import World

OLD, OVERTAKEN, NEW = "a" * 40, "b" * 40, "c" * 40


class Repository:
    """A repository with one branch; something may happen while it is being read."""

    def __init__(self) -> None:
        self.head = OLD
        self.meanwhile: Callable[[], object] = lambda: None

    def refs(self) -> RefSnapshot:
        seen = RefSnapshot(f"{self.head}\trefs/heads/main\n".encode())
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        return seen

    def fetch(self, wanted: Mapping[str, str]) -> frozenset[str]:
        """Heads that the branch had before cannot be had any more: only which one it has matters here."""
        return frozenset(wanted.values()) - {self.head}


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def listening(world: World, repository: Repository) -> Listening:
    return Listening(
        world.database, world.clock, world.intake, world.decider, lambda _source, _item: repository, 5.0
    )


def heads(world: World) -> list[str]:
    return [row["state"]["head"] for row in world.rows(tables.snapshots) if row["to_seq"] is None]


def test_a_read_of_the_place_where_an_item_was_stores_nothing_of_it(
    world: World, listening: Listening, repository: Repository
) -> None:
    def it_moves() -> None:
        with world.database.begin() as connection:
            order = lock_order(connection)
            library = tables.context_library
            moved = update(library).where(library.c.id == world.item_id).values(location="/srv/elsewhere.git")
            connection.execute(moved)
            forget_place(connection, world.item_id, order.next_seq)

    repository.meanwhile = it_moves
    report = listening.tick("git")
    assert report.problems == ["sample was moved or read by another process meanwhile"]
    assert heads(world) == []
    repository.head = NEW
    assert listening.tick("git").events == 0
    assert heads(world) == [NEW]


def test_a_read_that_lost_its_lock_does_not_undo_what_was_read_after_it(
    world: World, listening: Listening, repository: Repository
) -> None:
    listening.tick("git")
    world.clock.advance(seconds=60)
    repository.head = OVERTAKEN

    def another_process_reads() -> None:
        with world.database.begin() as connection:
            # As when the database restarts: the lock is a session's, and the session is gone.
            locks = """SELECT count(pg_terminate_backend(l.pid, 5000)) FROM pg_locks l JOIN pg_database d
                ON d.oid = l.database WHERE l.locktype = 'advisory' AND d.datname = current_database()"""
            connection.exec_driver_sql(locks)
        repository.head = NEW
        another = replace(listening, readers=Readers())
        assert another.tick("git").problems == []

    repository.meanwhile = another_process_reads
    report = listening.tick("git")
    assert report.problems == ["sample was moved or read by another process meanwhile"]
    assert heads(world) == [NEW]
    with world.database.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.events)) == 1
