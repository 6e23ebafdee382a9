"""`dct up` and what it keeps: its processes, the pool of workers, Dagster's daemons, and the loaded jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from dct_pipelines.clients.pool.caller import Pools
from dct_pipelines.clients.stack.lock import held_since, holder
from dct_pipelines.clients.stack.notes import read_address, read_loaded_jobs
from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.diagnosis import Told, fail, ok, warn
from dct_pipelines.domain.errors import PoolUnreachable
from dct_pipelines.domain.gateway import Daemons

LOCK = "up.lock"
START = "`dct up`, best kept by a service manager (docs/how-to/run-unattended.md)"


def look(home: Path) -> Iterator[Told]:
    """The processes of this home."""
    running = holder(home / LOCK)
    address = read_address(home)
    if running is None:
        yield ok("`dct up` does not run for this home")
        if address is not None:
            alive = _is_alive(address.pid)
            said = (
                f"it left its code server behind (process {address.pid})"
                if alive
                else "it left its note behind"
            )
            yield warn(f"the last `dct up` was killed: {said}", "start it again; it puts this right")
        return
    yield ok(f"`dct up` runs (process {running})")
    if address is None or not _is_alive(address.pid):
        yield warn("its code server does not run (yet)", f"look into {home / 'log' / 'code-server.log'}")
    else:
        yield ok(f"the code server runs (process {address.pid})")
    yield _pool(home)


def up_since(home: Path) -> datetime | None:
    """When the `dct up` of this home began; None where none runs."""
    return held_since(home / LOCK)


def look_at_daemons(daemons: Daemons, home: Path) -> Iterator[Told]:
    """What only the database knows of the stack."""
    known = list(daemons.daemons())
    down = [one for one in known if not one.is_healthy]
    for one in down:
        seen = f"since {one.last_seen:%Y-%m-%d %H:%M:%S} UTC" if one.last_seen else "at all"
        yield fail(f"Dagster's daemon {one.name} gave no sign of life {seen}", START)
    if known and not down:
        give = counted(len(known), "daemon of Dagster gives", "daemons of Dagster give")
        yield ok(f"{give} signs of life")
    if not known:
        yield warn("no daemon of Dagster runs: nothing is read, and nothing starts", START)
    jobs = read_loaded_jobs(home)
    yield (
        ok(f"Dagster has loaded {counted(len(jobs), 'job')}")
        if jobs
        else ok("Dagster has not loaded any job here yet")
    )


def _pool(home: Path) -> Told:
    log = home / "log" / "warm-pool.log"
    try:
        answer = Pools(home).hello()
    except PoolUnreachable as error:
        return fail(
            f"the pool of workers does not answer: {error}", f"look into {log}; `dct up` starts it again"
        )
    if trouble := answer.get("trouble"):
        return fail(f"the pool has no workers: {trouble}", f"look into {log}")
    return ok("the pool of workers answers")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
