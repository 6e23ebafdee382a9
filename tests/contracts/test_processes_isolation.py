"""How far commands are kept apart from us, and that it is said in words."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dct_pipelines.clients.processes import Processes
from dct_pipelines.clients.processes.isolation import Isolation
from dct_pipelines.domain.errors import IsolationUnavailable, ProcessFailed
from dct_pipelines.domain.process import (
    Command,
    IsolationLevel,
    IsolationMode,
    IsolationStatus,
)


@pytest.fixture
def open_home() -> Iterator[Path]:
    """A state directory that every user of the machine can enter (pytest's own are closed)."""
    with tempfile.TemporaryDirectory(prefix="dct-test-") as name:
        home = Path(name)
        home.chmod(0o755)
        (home / "work").mkdir()
        yield home


def test_as_root_commands_run_as_another_user_who_owns_only_what_it_may_write(open_home: Path) -> None:
    work, outside = open_home / "work", open_home.parent / f"{open_home.name}-outside"
    (work / "deep").mkdir()
    (work / "deep" / "file").write_text("before")
    (open_home / "ours").write_text("ours")
    os.link(open_home / "ours", work / "shared")
    processes = Processes(open_home, bwrap="")
    shell = f"id -u; echo after > deep/file; echo x >> shared; echo x > ../new; echo x > {outside}"
    result = processes.run(Command(argv=("sh", "-c", shell), cwd=work))
    assert (work / "deep" / "file").read_text() == "after\n"
    outside.unlink()
    if os.geteuid() == 0:
        assert processes.isolation_status().level is IsolationLevel.USER
        assert int(result.stdout) != 0
        assert (open_home / "ours").read_text() == "ours"
        assert not (open_home / "new").exists()
    else:
        assert processes.isolation_status().level is IsolationLevel.NONE
        assert "not root" in processes.isolation_status().explanation


def test_a_secret_that_everybody_can_read_is_warned_about_by_name(open_home: Path) -> None:
    secret, kept = open_home / ".env", open_home / "database"
    secret.write_text("TOKEN=x")
    secret.chmod(0o644)
    kept.mkdir(mode=0o700)
    status = Processes(open_home, bwrap="", hidden=[secret, kept]).isolation_status()
    named = f"{secret} can be read by every user" in status.warnings[0]
    assert named == (status.level is IsolationLevel.USER)
    assert len(status.warnings) == 1


def test_a_home_that_others_cannot_enter_is_explained(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    status = Processes(closed, bwrap="").isolation_status()
    assert status.level is IsolationLevel.NONE
    assert ("cannot enter" in status.explanation) == (os.geteuid() == 0)


def test_bwrap_masks_what_is_hidden_and_binds_what_is_writable(tmp_path: Path) -> None:
    secret, socket, work = tmp_path / ".env", tmp_path / "socket", tmp_path / "work"
    secret.touch()
    socket.mkdir()
    status = IsolationStatus(level=IsolationLevel.BWRAP, explanation="")
    isolation = Isolation(
        status, tmp_path, bwrap="/usr/bin/bwrap", hidden=(secret, socket, tmp_path / "none")
    )
    words = " ".join(isolation.wrap(["tool", "--", "x"], work, [work], tmp_path / "t"))
    assert words.startswith("/usr/bin/bwrap --die-with-parent")
    assert f"--ro-bind /dev/null {secret} --tmpfs {socket} --bind {work} {work}" in words
    assert f"--bind {tmp_path}/t /tmp" in words
    assert words.endswith(f"--chdir {work} -- tool -- x")


def test_a_program_that_the_other_user_may_not_enter_is_explained_and_not_looked_up(open_home: Path) -> None:
    closed = open_home / "closed"
    closed.mkdir(mode=0o700)
    (closed / "ls").write_text("#!/bin/sh\necho root\n")
    (closed / "ls").chmod(0o755)
    processes, env = Processes(open_home, bwrap=""), {"PATH": f"{closed}:/usr/bin:/bin"}
    found = processes.run(Command(argv=("ls", "-d", "/"), env=env)).stdout
    assert found == (b"/\n" if os.geteuid() == 0 else b"root\n")
    if os.geteuid() == 0:
        with pytest.raises(ProcessFailed, match=f"others may not enter {closed}"):
            processes.run(Command(argv=(str(closed / "ls"),)))


def test_required_isolation_refuses_when_there_is_none(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    processes = Processes(closed / "home", IsolationMode.REQUIRED, bwrap="")
    assert processes.isolation_status().level is IsolationLevel.NONE
    with pytest.raises(IsolationUnavailable, match="install bubblewrap"):
        processes.run(Command(argv=("true",)))
    assert processes.run(Command(argv=("true",), trusted=True)).succeeded


def test_status_says_in_words_which_level_is_in_force(tmp_path: Path) -> None:
    status = Processes(tmp_path, IsolationMode.NONE).isolation_status()
    assert status.level is IsolationLevel.NONE
    assert "DCT_ISOLATION=none" in status.explanation
    assert "can read everything that we can" in status.warnings[0]
