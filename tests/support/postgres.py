"""Fixtures: one embedded PostgreSQL a session, shared by xdist's workers, and a fresh database for each test.

A conftest takes them by name: `from tests.support.postgres import *  # noqa: F403`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from dct_pipelines.settings import Settings, load_settings
from dct_pipelines.store.database import Database
from dct_pipelines.store.embedded import EmbeddedPostgres
from dct_pipelines.store.schema import migrate

__all__ = ["database", "database_settings", "database_url", "postgres", "reachable_directory", "template"]

FASTER = ("fsync = off", "synchronous_commit = off", "full_page_writes = off")
"""A test's database need not survive the machine's fall."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, as long as it takes."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def administrator(url: str) -> Iterator[Connection]:
    """Yield a connection outside transactions, for CREATE DATABASE and the like."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


def terminate_all(url: str) -> int:
    """End every session of the database but the one that does it; return how many."""
    with administrator(url) as connection:
        statement = (
            "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(connection.scalar(text(statement)) or 0)


def session_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory that all workers of this session share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def reachable_directory() -> Iterator[Path]:
    """A temporary directory that every user may enter; pytest's own are closed to the server's user."""
    directory = Path(tempfile.mkdtemp(prefix="dct-test-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The session's server. The last worker that uses it stops it and removes its directory."""
    root = session_root(tmp_path_factory)
    pointer = root / "postgres-home"
    with (root / "postgres-users").open("a") as users:
        with locked(root / "postgres-lock"):
            fcntl.flock(users, fcntl.LOCK_SH)
            if not pointer.exists():
                home = Path(tempfile.mkdtemp(prefix="dct-tests-"))
                home.chmod(0o711)
                pointer.write_text(str(home))
            server = EmbeddedPostgres(Path(pointer.read_text()))
            url = server.ensure()
            with administrator(url) as connection:
                for setting in FASTER:
                    connection.execute(text(f"ALTER SYSTEM SET {setting}"))
                connection.execute(text("SELECT pg_reload_conf()"))
        yield server
    with locked(root / "postgres-lock"), (root / "postgres-users").open("a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        server.stop()
        pointer.unlink()
        shutil.rmtree(server.home)


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated database that each test's own is copied from."""
    name = "template_dct"
    url = make_url(postgres.ensure())
    with locked(session_root(tmp_path_factory) / "template-lock"), administrator(str(url)) as connection:
        if connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name}) is None:
            connection.execute(text(f"CREATE DATABASE {name}_new"))
            made = Database(create_engine(url.set(database=f"{name}_new"), poolclass=NullPool), None)
            migrate(made)
            made.dispose()
            connection.execute(text(f"ALTER DATABASE {name}_new RENAME TO {name}"))
    return name


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, template: str) -> Iterator[str]:
    """The URL of a migrated, empty database of this test alone."""
    url = make_url(postgres.ensure())
    name = f"t_{uuid.uuid4().hex}"
    with administrator(str(url)) as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    yield str(url.set(database=name))
    with administrator(str(url)) as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def database_settings(database_url: str, tmp_path: Path) -> Settings:
    """Settings of a project in `tmp_path` on that database."""
    return load_settings({"DAGSTER_HOME": str(tmp_path), "DCT_DATABASE_URL": database_url})


@pytest.fixture
def database(database_settings: Settings) -> Iterator[Database]:
    """That database, opened."""
    opened = Database.open(database_settings)
    yield opened
    opened.dispose()
