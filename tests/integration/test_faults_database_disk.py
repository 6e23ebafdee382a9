"""The database's disk is full: a clear error meanwhile, and every change told afterwards, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from dct_pipelines.domain.errors import DatabaseUnavailable
from dct_pipelines.store import tables
from dct_pipelines.store.embedded import EmbeddedPostgres
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.disks import SmallDisk, small_disk
from tests.support.repos import SampleRepository
from tests.support.workshop import Workshop

pytestmark = pytest.mark.integration

READY = """---
kind: trigger
name: ready
items: [shop]
conditions:
  - {type: branch_ready, config: {branch: "feature/*", target_branch: qa}}
actions:
  - {type: notify_users, config: {channels: [{channel: outbox}], subject: ready, text: "{{ event.branch }}"}}
"""


@pytest.fixture
def disk(reachable_directory: Path) -> Iterator[SmallDisk]:
    """What the database lies on."""
    with small_disk(reachable_directory / "home", 320) as made:
        yield made


@pytest.fixture
def server(disk: SmallDisk) -> Iterator[EmbeddedPostgres]:
    """The server of this test alone."""
    made = EmbeddedPostgres(disk.path, timeout_seconds=100)
    yield made
    made.stop()


@pytest.fixture
def workshop(
    dct: Dct, server: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workshop]:
    """A project whose own files lie elsewhere."""
    monkeypatch.setenv("DCT_DATABASE_URL", server.ensure())
    assert dct("db", "migrate").code == 0
    made = Workshop(tmp_path, dct)
    yield made
    made.app.executor.stop()
    made.app.database.dispose()


def push(repository: SampleRepository, names: list[str]) -> None:
    base = repository.head("qa")
    assert base
    repository.commits_on_branches(base, names)


def use_up_the_log(workshop: Workshop) -> None:
    """Until the server cannot write its log any more, which it survives only by recovering."""
    while True:
        with workshop.app.database.begin() as connection:
            connection.execute(text("SELECT pg_logical_emit_message(false, 'test', repeat('x', 1000000))"))
            connection.execute(text("SELECT pg_switch_wal()"))


@pytest.mark.parametrize("is_log_full", [False, True], ids=["tables", "log"])
def test_what_changes_while_the_disk_is_full_is_decided_afterwards_once(
    workshop: Workshop, disk: SmallDisk, server: EmbeddedPostgres, is_log_full: bool
):
    shop = workshop.repository()
    workshop.watch("shop", more=READY)
    before = workshop.events()
    push(shop, names := [f"feature/{number}" for number in range(120)])
    disk.fill()
    if is_log_full:
        with pytest.raises(DatabaseUnavailable):
            use_up_the_log(workshop)
    with pytest.raises(DatabaseUnavailable):
        workshop.tick()
    if is_log_full:
        said = workshop.dct("trigger", "pause", "ready")
        assert (said.code, "database" in said.err) == (4, True)
    disk.free()
    server.ensure()
    workshop.tick()
    created = [name for kind, name in workshop.events()[len(before) :] if kind == "branch_created"]
    assert sorted(created) == sorted(names)
    fired = [row.subject for row in workshop.rows(tables.trigger_executions)]
    assert sorted(fired) == sorted(f"refs/heads/{name}" for name in names)
    assert workshop.tick().events == 0


def test_a_server_that_cannot_start_for_want_of_room_says_so_and_starts_when_there_is(
    workshop: Workshop, disk: SmallDisk, server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("DCT_DATABASE_URL")
    monkeypatch.setenv("DCT_HOME", str(disk.path))
    workshop.app.database.dispose()
    server.stop()
    disk.fill()
    said = workshop.dct("execution", "list")
    assert (said.code, "to start it needs 64 MiB" in said.err) == (4, True)
    disk.free()
    assert workshop.dct("execution", "list", "--json").data == []
