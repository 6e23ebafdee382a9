"""Work: executions that stand still, triggers that cannot work, quotas of 0, workspaces that are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from uuid import UUID

from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.diagnosis import Told, fail, ok, warn
from dct_pipelines.domain.ports import WorkspaceFilesPort
from dct_pipelines.domain.quotas import Quota, Quotas
from dct_pipelines.domain.words import WorkspaceCode
from dct_pipelines.engine.rebuilding import without_code
from dct_pipelines.engine.times import Times
from dct_pipelines.store import examining, gauges, open_workspaces, quotas
from dct_pipelines.store.database import Connection, Database

PATIENCE = 2.0
"""Times longer than the sweep waits, before somebody has to look why it does not put this right."""
SHOWN = 5


def look(
    database: Database,
    now: datetime,
    defaults: Quotas,
    *,
    buildable_jobs: frozenset[str],
    broken_triggers: Callable[[Connection], dict[str, str]],
    workspaces: WorkspaceFilesPort,
) -> Iterator[Told]:
    """What is to be done, and whether it can be."""
    with database.connect() as connection:
        yield from _executions(connection, buildable_jobs)
        yield from _triggers(connection, broken_triggers)
        yield from _quotas(connection, defaults)
        yield from _workspaces(connection, workspaces)
        oldest = examining.oldest_event(connection)
        if oldest is not None:
            yield ok(f"events are kept since {oldest:%Y-%m-%d}")
        for row in gauges.incidents(connection):
            mend = "`dct alert list` says what is out of order"
            are = counted(row._mapping["count"], f"incident of {row.rule} is", f"incidents of {row.rule} are")
            yield warn(f"{are} {row.state}", mend)


def _executions(connection: Connection, buildable_jobs: frozenset[str]) -> Iterator[Told]:
    times = Times()
    not_started = examining.not_started(connection, PATIENCE * times.start_within_seconds)
    silent = examining.silent(connection, PATIENCE * times.stale_seconds)
    mend = "the sweep of `dct up` gives them their next attempt; if that runs, look into log/daemon.log"
    if not_started:
        were = counted(len(not_started), "execution was", "executions were")
        yield fail(f"{were} handed over and no run began: {_ids(not_started)}", mend)
    if silent:
        have = counted(len(silent), "execution has", "executions have")
        yield fail(f"{have} a run without a sign of life: {_ids(silent)}", mend)
    if not (not_started or silent):
        yield ok("no execution stands still")
    for job in sorted(examining.jobs_waited_for(connection) - buildable_jobs):
        yield fail(
            f"executions wait for job {job}, which cannot be built in this release",
            "install the plug-in of its actions, or cancel them (`dct execution list --status waiting`)",
        )


def _triggers(
    connection: Connection, broken_triggers: Callable[[Connection], dict[str, str]]
) -> Iterator[Told]:
    told = {
        row.name: row.status_detail or "it is in state error"
        for row in examining.triggers_in_error(connection)
    }
    told |= broken_triggers(connection)
    for name, why in sorted(told.items()):
        yield fail(f"trigger {name} cannot work: {why}", "correct its manifest and apply it again")
    if not told:
        yield ok("every trigger can work")


def _quotas(connection: Connection, defaults: Quotas) -> Iterator[Told]:
    in_force = quotas.in_force(connection, defaults)
    if not in_force.enabled:
        yield warn(
            "quotas are off: nothing limits how much runs at a time",
            "set TRIGGER_RESOURCE_LIMITS_ENABLED=true",
        )
        return
    nothing = [
        name
        for name in (Quota.EXECUTIONS, Quota.AGENTS, Quota.WORKSPACES)
        if getattr(in_force, name.value) == 0
    ]
    for name in nothing:
        yield warn(
            f"the quota of {name} is 0: none start", f"`dct quota set {name} N`, or `dct quota unset {name}`"
        )
    if not nothing:
        yield ok("no quota is 0")


def _workspaces(connection: Connection, files: WorkspaceFilesPort) -> Iterator[Told]:
    there = open_workspaces.every(connection)
    lost = list(without_code(connection, files))
    for one in lost[:SHOWN]:
        what = "holds no code" if one.code is WorkspaceCode.MISSING else "is gone"
        yield fail(
            f"the directory of workspace {one.title!r} ({str(one.id)[:8]}) {what}: {one.directory}",
            f"`dct restore workspace {str(one.id)[:8]}` rebuilds it from branch {one.branch} of "
            f"{one.repository}, or put it back from where it was kept",
        )
    if len(lost) > SHOWN:
        more = counted(len(lost) - SHOWN, "more workspace has", "more workspaces have")
        mend = "`dct restore list` names them, `dct restore workspace --all` rebuilds them"
        yield fail(f"{more} no code here", mend)
    if not lost:
        are = counted(len(there), "workspace is open and has", "workspaces are open, each with")
        yield ok(f"{are} its code")


def _ids(found: list[UUID]) -> str:
    more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return ", ".join(str(one)[:8] for one in found[:SHOWN]) + more
