"""A PostgreSQL that is older than the embedded one, as somebody may have it: version 16, of the same wheel.

A test module takes its fixture by name: `from tests.support.older_postgres import *  # noqa: F403`.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, text

from dct_pipelines.settings import load_settings
from dct_pipelines.store.database import Database
from dct_pipelines.store.embedded.account import Account
from dct_pipelines.store.embedded.binaries import find_binaries
from tests.support.postgres import administrator

__all__ = ["older", "older_url"]

PORT = 5432
"""Of a socket in a directory of its own: nobody else's."""
SETTINGS = ("listen_addresses=''", "fsync=off", "shared_buffers=16MB", "max_connections=20")


def called(program: str, *arguments: str) -> None:
    """Run one of its programs, as the user whom the embedded server runs as."""
    path = find_binaries().parents[1] / "pginstall" / "bin" / program
    bare = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
    options = Account.for_this_process().process_options()
    subprocess.run(
        [str(path), *arguments], env=bare, cwd="/", check=True, stdout=subprocess.DEVNULL, **options
    )


@pytest.fixture
def older_url(reachable_directory: Path) -> Iterator[str]:
    """The URL of a database of it with nothing in it."""
    account, data = Account.for_this_process(), reachable_directory / "data"
    account.own_private(data)
    called("initdb", "-D", str(data), "-U", "dct", "--auth=trust", "--encoding=UTF8", "--no-sync")
    told = " ".join(f"-c {setting}" for setting in (*SETTINGS, f"unix_socket_directories={data}"))
    called("pg_ctl", "-D", str(data), "-l", str(data / "log"), "-o", told, "-w", "start")
    url = URL.create("postgresql+psycopg2", "dct", database="postgres", query={"host": str(data)})
    name = f"t_{uuid.uuid4().hex}"
    try:
        with administrator(url.render_as_string()) as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        yield url.set(database=name).render_as_string()
    finally:
        called("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")


@pytest.fixture
def older(older_url: str, tmp_path: Path) -> Iterator[Database]:
    """That database, opened as that of a deployment in another directory."""
    settings = load_settings({"DAGSTER_HOME": str(tmp_path / "older"), "DCT_DATABASE_URL": older_url})
    opened = Database.open(settings)
    yield opened
    opened.dispose()
