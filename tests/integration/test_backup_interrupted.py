"""A backup that is interrupted leaves nothing behind, and one that meets others at work does not fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath
from uuid import uuid4

import pytest
from sqlalchemy import text

from dct_pipelines.clients.backup_file import BackupFile, writing
from dct_pipelines.clients.home_files import HomeFile, LeftOut, files_of_home
from dct_pipelines.domain.backups import DUMP, TablePrint
from dct_pipelines.domain.errors import BackupUnusable, DatabaseUnavailable, InvalidInput
from dct_pipelines.domain.retention import months_ahead
from dct_pipelines.engine.backup import dump_and_prints
from dct_pipelines.settings import Settings
from dct_pipelines.store import partitions
from dct_pipelines.store.database import Database
from dct_pipelines.store.dumps import Snapshot, snapshot
from dct_pipelines.store.partitions import PAYLOADS, Partition
from tests.support.elsewhere import backup_of, quiet
from tests.support.waiting import eventually
from tests.support.world import World

pytestmark = pytest.mark.integration
LARGE_BYTES = 512 * 1024 * 1024
PATIENCE_SECONDS = 60.0
PROGRAM = """
import signal
from dct_pipelines.cli.main import main
signal.signal(signal.SIGHUP, signal.SIG_DFL)
main()
"""
"""`dct`, also where the tests themselves ignore hang-ups."""


@pytest.fixture
def world(database: Database) -> World:
    return World(database)


@contextmanager
def backing_up(settings: Settings, database_url: str, target: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`dct backup` at work, with so much to pack that it is far from its end."""
    (settings.project_root / "dagster.yaml").touch()
    large = settings.home / "outbox" / "large"
    large.parent.mkdir(parents=True)
    with large.open("wb") as file:
        file.truncate(LARGE_BYTES)  # takes no room on the disk
    us = os.environ | {"DAGSTER_HOME": str(settings.project_root), "DCT_DATABASE_URL": database_url}
    command = [sys.executable, "-c", PROGRAM, "backup", str(target)]
    with subprocess.Popen(command, env=us, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_backup_that_is_told_to_end_takes_its_draft_with_it(
    world: World, database_settings: Settings, database_url: str, tmp_path: Path, number: signal.Signals
):
    target = tmp_path / "backups"
    target.mkdir()
    with backing_up(database_settings, database_url, target) as process:
        assert eventually(lambda: any(path.stat().st_size for path in target.iterdir()), PATIENCE_SECONDS)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, said) == (128 + number, b"dct: told to end; what was begun is undone\n")
    assert list(target.iterdir()) == []


def draft(directory: Path, name: str, content: bytes, days_old: float) -> Path:
    path = directory / name
    path.write_bytes(content)
    then = (datetime.now(UTC) - timedelta(days=days_old)).timestamp()
    os.utime(path, (then, then))
    return path


def half_a_backup(directory: Path) -> bytes:
    """What lies on the disk of one that was killed."""
    with writing(directory / "whole", uuid4()) as writer:
        writer.add(DUMP, [b"x" * 1000])
    return (directory / "whole").read_bytes()[:500]


def test_drafts_that_killed_backups_left_go_with_the_next_one_and_nothing_else_does(
    world: World, tmp_path: Path
):
    half, target = half_a_backup(tmp_path), tmp_path / "backups"
    target.mkdir()
    ours = [
        draft(target, ".dct-20260101T000000Z-aaaaaaaa.backup.0123abcd.draft", half, 2),
        draft(target, ".monday.0123abcd.draft", b"", 2),
    ]
    others = [
        draft(target, ".dct-x.backup.0123abce.draft", half, 0.5),
        draft(target, ".letter.0123abcd.draft", b"Dear Ann", 2),
        draft(target, ".letter.draft", half, 2),
        draft(target, "old.backup", half, 2),
    ]
    told: list[str] = []
    backup_of(world.database, target / "b", tell=told.append)
    assert [path for path in ours if path.exists()] == []
    assert [path for path in others if not path.exists()] == []
    assert sum("killed has left" in line for line in told) == len(ours)


def test_a_file_that_vanishes_meanwhile_is_left_out_and_not_stored_empty(tmp_path: Path):
    home = tmp_path / "home"
    (home / "sent").mkdir(parents=True)
    for name in ("gone", "link", "stays"):
        (home / "sent" / name).write_text(name)
    found = list(files_of_home(home, LeftOut()))
    (home / "sent/gone").unlink()
    (home / "sent/link").unlink()
    (home / "sent/link").symlink_to(home / "sent/stays")
    with writing(tmp_path / "b", uuid4()) as writer:
        added = {one.name: writer.add_file(one) for one in found}
    assert added == {"home/sent/gone": False, "home/sent/link": False, "home/sent/stays": True}
    assert list(writer.files) == ["home/sent/stays"]


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path):
    nameless = HomeFile(tmp_path, PurePosixPath("x" * 300), is_foreign=False)
    with (
        pytest.raises(InvalidInput, match="cannot be read"),
        writing(tmp_path / "b", uuid4()) as writer,
    ):
        writer.add_file(nameless)
    assert not (tmp_path / "b").exists()


def dropped(database: Database, partition: Partition) -> None:
    with database.begin() as connection:
        partitions.drop(connection, PAYLOADS[0], partition, (), datetime.now(UTC))


def test_no_month_can_be_dropped_between_the_moment_of_a_backup_and_the_locks_of_its_dump(world: World):
    """Maintenance tries it again the next day; `pg_dump` could not: it still sees the month."""
    month = months_ahead(datetime.now(UTC))[-1]
    name = partitions.name_of(PAYLOADS[0], month)
    with world.database.connect() as connection:
        [last] = [one for one in partitions.listed(connection, PAYLOADS[0]) if one.name == name]
    with snapshot(world.database) as moment:
        with pytest.raises(DatabaseUnavailable, match="holds a lock"):
            dropped(world.database, last)
        assert sum(map(len, moment.dump())) > 0
        assert moment.fingerprint(lambda _table, _rows: None)["dct.events"].rows == 0
    dropped(world.database, last)


class Hanging:
    """A moment whose dump fails at once and whose figures take for ever, until somebody cancels that."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def dump(self) -> Generator[bytes, None, None]:
        yield b"half"
        raise BackupUnusable("pg_dump failed")

    def fingerprint(self, _tell: Callable[[str, int], None]) -> dict[str, TablePrint]:
        assert self.cancelled.wait(PATIENCE_SECONDS)
        raise DatabaseUnavailable

    def cancel(self) -> None:
        self.cancelled.set()


def test_when_the_dump_fails_nobody_waits_for_the_figures(tmp_path: Path):
    moment = Hanging()
    with pytest.raises(BackupUnusable, match="pg_dump failed"), writing(tmp_path / "b", uuid4()) as writer:
        dump_and_prints(moment, writer, quiet)
    assert moment.cancelled.is_set()


def test_a_query_of_a_moment_can_be_ended_from_another_thread(world: World):
    with snapshot(world.database) as moment:
        told: list[BaseException] = []
        waiting = threading.Thread(target=lambda: told.append(_error_of(moment)))
        waiting.start()
        begun = time.monotonic()
        while waiting.is_alive():
            moment.cancel()
            waiting.join(0.05)
    assert time.monotonic() - begun < PATIENCE_SECONDS / 2
    assert isinstance(told[0], DatabaseUnavailable)


def _error_of(moment: Snapshot) -> BaseException:
    try:
        moment.connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": PATIENCE_SECONDS})
    except DatabaseUnavailable as error:
        return error
    return AssertionError("it slept to its end")


def test_a_backup_says_where_its_home_was(world: World, tmp_path: Path):
    backup_of(world.database, tmp_path / "b", tmp_path / "home")
    assert BackupFile(tmp_path / "b").verify().home == str(tmp_path / "home")
