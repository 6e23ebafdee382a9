"""The worker's side: one launch after the other, until the zygote hangs up."""

from __future__ import annotations

import json
import signal
import socket
from collections.abc import Callable

import psutil

from dct_pipelines.clients.pool.launch import Launch, encode
from dct_pipelines.clients.pool.marks import Mark

Work = Callable[[Launch], None]
"""Does one launch. What it raises ends the worker, and so tells the zygote that the launch went wrong.

SIGINT asks it to stop: it raises KeyboardInterrupt, unless `Work` handles it in a way of its own."""
READY, BEGUN, DONE, ERROR = "ready", "begun", "done", "error"


def serve(line: socket.socket, mark: Mark, prepare: Callable[[], Work]) -> None:
    """Prepare, say so, and do what the zygote sends until it hangs up, which the death of it is, too.

    Nothing is begun before the zygote can know it: what nobody knows to have begun is begun by another one.
    """
    heed_nothing()
    work, process = prepare(), psutil.Process()
    with line.makefile("r", encoding="utf-8", newline="\n") as lines:
        if not _tell(line, {READY: True}):
            return
        for text in lines:
            if not text.endswith("\n"):
                return  # the zygote died while it sent this
            launch = Launch(**json.loads(text))
            mark.begin(launch)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if not _tell(line, {BEGUN: launch.key}):
                return
            work(launch)
            heed_nothing()
            mark.end()
            if not _tell(line, {DONE: launch.key, "bytes": process.memory_info().rss}):
                return


def heed_nothing() -> None:
    """Between launches nothing is to be stopped: an interrupt came too late for what is over.

    A handler that does nothing, not SIG_IGN: programs that this process starts would inherit that.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)


def _tell(line: socket.socket, message: dict[str, object]) -> bool:
    """Whether the zygote is there to be told."""
    try:
        line.sendall(encode(message))
    except OSError:
        return False
    return True
