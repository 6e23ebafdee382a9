"""Forks workers: what a child keeps of its zygote, and that it never becomes one."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dct_pipelines.clients.pool.launch import encode
from dct_pipelines.clients.pool.lines import Line, Lines
from dct_pipelines.clients.pool.marks import Mark
from dct_pipelines.clients.pool.signals import Signals
from dct_pipelines.clients.pool.worker import ERROR, Work, heed_nothing, serve

LONGEST_COMPLAINT = 300
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Nursery:
    """What a child is made with. `prepare` is called in it, once."""

    marks: Path
    prepare: Callable[[], Work]
    lines: Lines
    signals: Signals

    def fork(self) -> Line:
        """The line to a new worker; OSError when none can be had."""
        zygote = os.getpid()
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            self._be_worker(ours, theirs, zygote)
        theirs.close()
        return self.lines.add(Line(ours, pid))

    def _be_worker(self, ours: socket.socket, theirs: socket.socket, zygote: int) -> NoReturn:
        """What the child does; it never returns into the loop, whatever happens."""
        code = 1
        try:
            heed_nothing()
            # Nobody may wait for us to hang up but who speaks with us.
            self.signals.leave_to_parent()
            self.lines.leave_to_parent()
            ours.close()
            serve(theirs, Mark(self.marks, zygote), self.prepare)
            code = 0
        except BaseException as error:  # noqa: BLE001 (it says what happened, and ends)
            _log.exception("worker %d ends", os.getpid())
            with contextlib.suppress(OSError):
                theirs.sendall(encode({ERROR: f"{type(error).__name__}: {error}"[:LONGEST_COMPLAINT]}))
        finally:
            try:
                logging.shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
