"""Which system user runs the server, and what that user can reach.

PostgreSQL refuses to run as root, so root runs it as `postgres` or `nobody`; everybody else as themselves.
"""

from __future__ import annotations

import os
import pwd
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dct_pipelines.domain.errors import EmbeddedPostgresError

CANDIDATES = ("postgres", "nobody")
"""initdb looks its user up, so a bare number that no account has will not do."""


@dataclass(frozen=True)
class Account:
    """The user that owns the server's files and runs its processes."""

    uid: int
    gid: int
    name: str

    @classmethod
    def for_this_process(cls) -> Account:
        """Return ourselves, or for root the first of `CANDIDATES` that exists."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid(), str(os.geteuid()))
        for name in CANDIDATES:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(entry.pw_uid, entry.pw_gid, name)
        raise EmbeddedPostgresError(
            "PostgreSQL must not run as root, and there is neither a user 'postgres' nor 'nobody': "
            "create one, run dct as another user, or set DCT_DATABASE_URL"
        )

    @property
    def is_other(self) -> bool:
        """Whether this is not the user of this process, so that files have to be handed over."""
        return self.uid != os.geteuid()

    def process_options(self) -> dict[str, Any]:
        """Arguments of `subprocess` that make a child run as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.is_other else {}

    def can_enter(self, path: Path) -> bool:
        """Whether this user can pass through every directory down to `path`, and execute or enter it."""
        return all(self._may_execute(place) for place in (path, *path.parents))

    def _may_execute(self, path: Path) -> bool:
        status = path.stat()
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)

    def own_private(self, directory: Path) -> None:
        """Make `directory` if need be, private to this user (0700); refuse one of somebody else."""
        with suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        status = directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {self.uid, os.geteuid()}:
            raise EmbeddedPostgresError(
                f"{directory} is not a directory of user {self.name}; remove it, or set another DCT_HOME"
            )
        if status.st_uid != self.uid:
            os.chown(directory, self.uid, self.gid, follow_symlinks=False)
        directory.chmod(0o700)
