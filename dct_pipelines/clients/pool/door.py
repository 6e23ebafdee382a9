"""The socket that a pool listens at, which only our own user can reach."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

BACKLOG = 128


class Door:
    """Open from the beginning; whatever was there before is replaced. OSError when it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.bind(os.fspath(path))
            path.chmod(0o600)
            self.socket.listen(BACKLOG)
        except OSError as error:
            self.socket.close()
            raise OSError(f"the worker pool cannot listen at {path}: {error}") from error
        self.socket.setblocking(False)
        self._inode = path.stat().st_ino

    def let_in(self) -> socket.socket | None:
        """The next caller; None when there is none any more. OSError when there is no room for one."""
        try:
            caller, _ = self.socket.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                raise
            return None
        return caller

    def close(self) -> None:
        """Listen no more. A door of the same name that another pool has opened meanwhile stays."""
        self.socket.close()
        try:
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        except FileNotFoundError:
            return
