"""How often Dagster's processes ask each other whether they live, as `dct up` runs them.

Each second by default, and each question is a connection of its own: that is a quarter of what a deployment
costs in which nothing happens. `tests/dagster/test_quieter.py` holds the contract with the pinned Dagster.
"""

from __future__ import annotations

from dagster._grpc import client, server_watcher

from dct_pipelines.instance.seams import Undo, replace, together

ALIVE_SECONDS = 5
"""Between two signs of life of the code server's door to the server behind it, which waits 20 s for one."""
WATCH_SECONDS = 3
"""Between two looks whether the code server is another one, and so has other definitions."""


def be_quieter() -> Undo:
    """In this process; the answer undoes it."""
    return together(
        replace(client, "CLIENT_HEARTBEAT_INTERVAL", ALIVE_SECONDS),
        replace(server_watcher, "WATCH_INTERVAL", WATCH_SECONDS),
    )
