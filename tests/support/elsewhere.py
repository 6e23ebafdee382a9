"""Fixtures: another place to restore into, empty, on the session's server.

A test module takes them by name: `from tests.support.elsewhere import *  # noqa: F403`.
"""

from __future__ import annotations

import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from dct_pipelines.clients.backup_file import BackupFile
from dct_pipelines.clients.clock import SystemClock
from dct_pipelines.domain.backups import MANIFEST, Manifest
from dct_pipelines.engine.backup import Backups, Tell
from dct_pipelines.engine.restore import Restoring
from dct_pipelines.settings import load_settings
from dct_pipelines.store.database import Database
from dct_pipelines.store.embedded import EmbeddedPostgres
from tests.support.postgres import administrator

__all__ = ["elsewhere", "elsewhere_url"]


@pytest.fixture
def elsewhere_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    url = make_url(postgres.ensure())
    name = f"t_{uuid.uuid4().hex}"
    with administrator(str(url)) as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield str(url.set(database=name))
    with administrator(str(url)) as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture
def elsewhere(elsewhere_url: str, tmp_path: Path) -> Iterator[Database]:
    """That database, opened as that of a deployment in another directory."""
    settings = load_settings({"DAGSTER_HOME": str(tmp_path / "there"), "DCT_DATABASE_URL": elsewhere_url})
    opened = Database.open(settings)
    yield opened
    opened.dispose()


def quiet(_line: str) -> None:
    """Whoever does not want to hear how far it is."""


def backup_of(database: Database, path: Path, home: Path | None = None, tell: Tell = quiet) -> Manifest:
    """A backup of a database, and of a home if one is given, written to `path`."""
    _, manifest = Backups(database, home or path.parent / "no-home", SystemClock()).make(path, "local", tell)
    return manifest


def restoring_into(database: Database, home: Path) -> Restoring:
    """What restores there."""
    return Restoring(database, home, SystemClock())


def altered(path: Path, change: Callable[[Manifest], Manifest]) -> Path:
    """The same backup with another manifest, as if another release had made it."""
    other = path.with_name(f"altered-{path.name}")
    manifest = change(BackupFile(path).manifest())
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(other, "w") as after:
        for name in before.namelist():
            content = manifest.model_dump_json().encode() if name == MANIFEST else before.read(name)
            after.writestr(name, content)
    return other
