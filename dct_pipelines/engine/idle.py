"""Idle workspaces are archived, some days after their people were told.

The archiving is an execution like any other: it waits for its turn, holds the workspace's lease, is tried
again when it fails, and is shown in Dagster and in `dct execution list`. Here it is only asked for.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from dct_pipelines.domain.shapes import job_name
from dct_pipelines.engine.manual import manual_values
from dct_pipelines.store import idle as store
from dct_pipelines.store import restoring
from dct_pipelines.store.database import Database

if TYPE_CHECKING:
    from dct_pipelines.domain.ports import Clock, WorkspaceFilesPort

ARCHIVE = "archive_workspace"
ASKED_BY = "maintenance"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class IdleReport:
    """Titles of workspaces that were told of and that are being archived; how many notices are off."""

    told: tuple[str, ...] = ()
    archiving: tuple[str, ...] = ()
    withdrawn: int = 0


@dataclass(frozen=True)
class IdleWorkspaces:
    """Finds workspaces in which nothing was done for `idle_days`; `notice_days` later they are archived."""

    database: Database
    clock: Clock
    files: WorkspaceFilesPort
    idle_days: int
    notice_days: int

    def look(self, *, dry_run: bool = False) -> IdleReport:
        """One look. With `dry_run` it says what it would do: nothing while a restore pauses everything."""
        now = self.clock.now()
        untouched_since = now - timedelta(days=self.idle_days)
        with self.database.connect() as connection:
            if restoring.is_paused(connection):
                return IdleReport()
            found = store.idle(connection, untouched_since, now)
        idle = [
            one for one in found if (at := self.files.touched_at(one.id)) is not None and at < untouched_since
        ]
        due = now - timedelta(days=self.notice_days)
        to_tell = [one for one in idle if one.notified_at is None]
        to_archive = [one for one in idle if one.notified_at is not None and one.notified_at <= due]
        told, archiving = tuple(one.title for one in to_tell), tuple(one.title for one in to_archive)
        if dry_run:
            return IdleReport(told, archiving)
        with self.database.begin() as connection:
            withdrawn = store.withdraw_notices(connection, [one.id for one in idle])
            for one in to_tell:
                archived_at = now + timedelta(days=self.notice_days)
                store.notify(connection, one, now, archived_at)
                _log.warning(
                    "workspace %s (%s) is idle and will be archived after %s; a change in it keeps it",
                    one.id,
                    one.title,
                    f"{archived_at:%Y-%m-%d %H:%M} UTC",
                )
            for one in to_archive:
                action = {"type": ARCHIVE, "config": {"workspace": str(one.id)}}
                row = manual_values([action], job_name=job_name((ARCHIVE,)), created_by=ASKED_BY)
                store.archive(connection, one, row)
        return IdleReport(told, archiving, withdrawn)
