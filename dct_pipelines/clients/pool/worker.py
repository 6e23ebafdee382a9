"""The worker's side: one launch after the other, until the zygote hangs up."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from dct_pipelines.clients.pool.marks import Mark
from dct_pipelines.clients.pool.roster import Launch

Work = Callable[[Launch], None]
"""Does one launch. What it raises ends the worker, and so tells the zygote that the launch went wrong."""
READY = "ready"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def serve(line: socket.socket, marks: Path, prepare: Callable[[], Work]) -> None:
    """Prepare, say so, and do what the zygote sends until it hangs up, which the death of it is, too."""
    mark = Mark(marks)
    work = prepare()
    with line.makefile("r", encoding="utf-8") as lines:
        line.sendall(encode({"state": READY}))
        for text in lines:
            launch = Launch(**json.loads(text))
            mark.write(launch.key)
            work(launch)
            mark.write("")
            try:
                line.sendall(encode({"done": launch.key, "bytes": resident_bytes()}))
            except OSError:
                return


def encode(message: object) -> bytes:
    """One line of JSON."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def encode_launch(launch: Launch) -> bytes:
    """A launch as the worker reads it."""
    return encode(asdict(launch))


def resident_bytes() -> int:
    """What this process has in memory, shared pages included."""
    with Path("/proc/self/statm").open("rb") as file:
        return int(file.read().split()[1]) * PAGE_BYTES
