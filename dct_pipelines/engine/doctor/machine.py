"""The machine: Python, git and what it can do, the home and its disk, and how commands are kept apart."""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from dct_pipelines.domain.diagnosis import Told, fail, ok, warn
from dct_pipelines.domain.errors import DctError
from dct_pipelines.domain.process import Command, IsolationLevel, ProcessPort
from dct_pipelines.engine.doctor.project import is_open
from dct_pipelines.settings import Isolation, Settings

LEAST_PYTHON = (3, 11)
LEAST_GIT = (2, 38)
"""Before it, `git merge-tree` cannot write a tree, so that nothing can be merged without a work tree."""
GIT_SECONDS = 5.0
LITTLE_FREE_MIB = 1024
NO_ROOM_MIB = 64


def look(settings: Settings, processes: ProcessPort) -> Iterator[Told]:
    """This machine, for a deployment with these settings."""
    yield _python(sys.version_info[:2])
    yield _git(processes)
    yield from _home(settings.home)
    yield from _isolation(settings, processes)


def free_room(directory: Path, what: str) -> Told:
    """How much room is left on the disk of a directory, which is there."""
    free = shutil.disk_usage(directory).free >> 20
    said = f"{free:,} MiB are free on the disk of {what}"
    if free < NO_ROOM_MIB:
        return fail(said, "free some room: work waits until there is")
    return warn(said, "free some room before it is full") if free < LITTLE_FREE_MIB else ok(said)


def _python(version: tuple[int, ...]) -> Told:
    said = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    return ok(said) if version >= LEAST_PYTHON else fail(said, "install Python 3.11 or newer")


def _git(processes: ProcessPort) -> Told:
    mend = f"install git {'.'.join(map(str, LEAST_GIT))} or newer"
    try:
        done = processes.run(Command(argv=("git", "--version"), trusted=True, timeout_seconds=GIT_SECONDS))
    except DctError as error:
        return fail(f"there is no git: {error}", mend)
    said = done.stdout.decode(errors="replace").strip()
    found = re.search(r"(\d+)\.(\d+)", said)
    if not done.succeeded or found is None:
        return fail(f"git does not say which version it is: {done.last_words()}", mend)
    if (int(found.group(1)), int(found.group(2))) < LEAST_GIT:
        return fail(f"{said} cannot merge without a work tree", mend)
    return ok(said)


def _home(home: Path) -> Iterator[Told]:
    if not home.exists():
        yield ok(f"{home} will be made by the first command that needs it")
        return
    if not home.is_dir():
        yield fail(f"{home} is not a directory", "set DCT_HOME to a directory of your own")
        return
    status = home.stat()
    if status.st_uid != os.geteuid():
        yield fail(
            f"{home} belongs to user {status.st_uid}, and you are {os.geteuid()}",
            "call dct as that user, or set DCT_HOME to a directory of your own",
        )
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield fail(f"{home} can be changed by others (mode {mode:o})", f"chmod go-w {home}")
    elif not os.access(home, os.W_OK | os.X_OK):
        yield fail(f"{home} cannot be written (mode {mode:o})", f"chmod u+rwx {home}")
    else:
        yield ok(f"{home} can be changed by its owner only")
    yield free_room(home, str(home))


def _isolation(settings: Settings, processes: ProcessPort) -> Iterator[Told]:
    """How commands are kept from us; what the project says of `.env` already is not said again."""
    status = processes.isolation_status()
    said = f"isolation of commands: {status.level} ({status.explanation})"
    if status.level is IsolationLevel.NONE:
        is_chosen = settings.isolation is Isolation.NONE
        first = "unset DCT_ISOLATION, and install" if is_chosen else "install"
        mend = f"{first} bubblewrap; DCT_ISOLATION=required refuses to run commands without it"
        yield warn("; ".join((said, *status.warnings)), mend)
        return
    yield ok(said)
    variables = settings.project_root / ".env"
    told = str(variables.resolve()) if is_open(variables) else None
    for warning in status.warnings:
        if told is None or not warning.startswith(f"{told} "):
            yield warn(warning, "see docs/how-to/security.md")
