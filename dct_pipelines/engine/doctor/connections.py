"""Connections: how they stand, whether they are behind, and whether their credentials can be read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dct_pipelines import registry
from dct_pipelines.domain.connected import Finding
from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.diagnosis import Told, fail, ok, warn
from dct_pipelines.domain.errors import CredentialRefused
from dct_pipelines.domain.ports import SecretsPort
from dct_pipelines.domain.words import Kind
from dct_pipelines.store.database import Database, Row
from dct_pipelines.store.definitions.shelves import SHELVES, Stored
from dct_pipelines.store.watching import standing

BEHIND = timedelta(minutes=2)
"""Beyond the moment at which it was due; a tick may take a while."""
COMMAND = "command:"
FILE = "file://"


def look(
    database: Database,
    now: datetime,
    secrets: SecretsPort,
    *,
    ask: Callable[[Stored], tuple[Finding, ...]] | None,
) -> Iterator[Told]:
    """Every connection. `ask` asks its provider; without it nobody is asked and no command is run."""
    with database.connect() as connection:
        rows = standing.standings(connection)
        stored = SHELVES[Kind.CONNECTION].all(connection)
    if not rows:
        yield ok("there is no connection yet")
    for row in rows:
        yield from _health(row, now)
        yield from _credential(row, secrets, may_run=ask is not None)
        yield from _base(row)
        if row.letters:
            yield warn(
                f"{row.name}: {counted(row.letters, 'dead letter')}, which could not be understood",
                f"`dct connection letters {row.name}`",
            )
        if ask is not None and row.is_enabled:
            for found in ask(stored[row.name]):
                told = f"{row.name} says of {found.what}: {found.said}"
                yield ok(told) if found.is_ok else fail(told, f"`dct connection check {row.name}`")


def _health(row: Row[Any], now: datetime) -> Iterator[Told]:
    name = row.name
    if not row.is_enabled:
        yield warn(f"{name} is paused: nothing of it is read", f"`dct connection resume {name}`")
        return
    if row.health in ("down", "failing"):
        yield fail(
            f"{name} is {row.health}: {row.health_detail or 'no answer'}", f"`dct connection check {name}`"
        )
    elif row.health == "throttled":
        yield warn(f"{name} asked us to wait: {row.health_detail}", "it goes on by itself; ask less often")
    elif row.last_ok_at is None:
        yield warn(f"{name} was never read", "`dct up` or `dct listener start` reads it")
    else:
        yield ok(f"{name} was read {_ago(now - row.last_ok_at)} ago")
    if row.unreadable:
        yield fail(
            f"{name}: {row.unreadable} of {counted(row.items, 'item')} cannot be read",
            "`dct status` says which and why",
        )
    due = max((one for one in (row.next_due_at, row.not_before) if one is not None), default=None)
    if row.items and due is not None and now - due > BEHIND:
        yield fail(
            f"{name} was due {_ago(now - due)} ago and is not read",
            "`dct up` reads it; if that runs, look at its sensor's ticks in Dagster's UI",
        )


def _credential(row: Row[Any], secrets: SecretsPort, *, may_run: bool) -> Iterator[Told]:
    references = {"credential": row.credential_ref, "webhook secret": row.config.get("webhook_secret")}
    for what, reference in references.items():
        if not isinstance(reference, str) or (reference.startswith(COMMAND) and not may_run):
            continue
        try:
            secrets.read(reference)
        except CredentialRefused as error:
            yield fail(f"{row.name}: its {what} cannot be read: {error}", "set it, or correct the reference")
        else:
            yield ok(f"{row.name}: its {what} is where it is said to be")


def _base(row: Row[Any]) -> Iterator[Told]:
    base = registry.base_of(row.kind, row.config).removeprefix(FILE)
    if not base.startswith("/"):
        return
    if not Path(base).is_dir():
        what = "is no directory" if Path(base).exists() else "is not there"
        yield fail(f"{row.name}: its base {base} {what}", "make it, or correct the connection's base")
    elif not os.access(base, os.R_OK | os.X_OK):
        yield fail(f"{row.name}: its base {base} cannot be read", "let this user read it and enter it")
    else:
        yield ok(f"{row.name}: its base {base} is a directory")


def _ago(span: timedelta) -> str:
    seconds = max(span.total_seconds(), 0)
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
