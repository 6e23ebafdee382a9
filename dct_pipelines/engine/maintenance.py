"""Maintenance: what keeps the deployment itself in order, as steps that can be run one by one.

The Dagster job and `dct maintenance run` run the same steps in the same order. Two never work at once; a step
that was cut off is simply run again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.facts import Fact
from dct_pipelines.engine import expiring
from dct_pipelines.store import partitions, turn, upkeep
from dct_pipelines.store.database import Database

if TYPE_CHECKING:
    from dct_pipelines.domain.ports import Clock
    from dct_pipelines.engine.idle import IdleWorkspaces
    from dct_pipelines.engine.retention import Retention, Swept


class StepReport(Fact):
    """What a step did, or with a dry run would do: rows that went by table, and sentences.

    `warnings` are those that somebody should read.
    """

    step: str
    deleted: Mapping[str, int] = {}
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0


@dataclass(frozen=True)
class Step:
    """A step and what it is for."""

    summary: str
    work: Callable[[Maintenance, bool], StepReport]


@dataclass(frozen=True)
class Maintenance:
    """Runs the steps."""

    database: Database
    clock: Clock
    retention: Retention
    workspaces: IdleWorkspaces

    def run(self, step: str, *, dry_run: bool = False) -> StepReport:
        """Run one of `STEPS`, unless one is being run elsewhere: then the report says so."""
        begun = time.monotonic()
        with turn.taken(self.database, turn.MAINTENANCE) as is_mine:
            if not is_mine:
                return StepReport(step=step, warnings=("another maintenance is at work; nothing was done",))
            report = STEPS[step].work(self, dry_run)
            seconds = round(time.monotonic() - begun, 3)
            if not dry_run:
                with self.database.begin() as connection:
                    upkeep.note(connection, step, report.deleted, seconds)
        return report.model_copy(update={"step": step, "seconds": seconds})


def _months(self: Maintenance, dry_run: bool) -> StepReport:
    report = _swept(self.retention.months(dry_run=dry_run))
    if not dry_run:
        with partitions.patiently(self.database) as connection:
            for payload in partitions.PAYLOADS:
                partitions.analyze(connection, payload)
            connection.commit()
    return report


def _workspaces(self: Maintenance, dry_run: bool) -> StepReport:
    found = self.workspaces.look(dry_run=dry_run)
    days = self.workspaces.notice_days
    later = counted(days, "day")
    warnings = [f"workspace {title!r} is idle and will be archived in {later}" for title in found.told]
    notes = [f"workspace {title!r} is being archived" for title in found.archiving]
    if found.withdrawn:
        many = ("workspace is in use again and stays", "workspaces are in use again and stay")
        notes.append(counted(found.withdrawn, *many))
    return StepReport(step="", notes=tuple(notes), warnings=tuple(warnings))


def _credentials(self: Maintenance, _dry_run: bool) -> StepReport:
    with self.database.connect() as connection:
        found = expiring.tokens(connection, self.clock.now())
    return StepReport(step="", warnings=tuple(f"{sentence}: {expiring.MEND}" for sentence in found))


def _swept(swept: Swept) -> StepReport:
    return StepReport(step="", deleted=dict(+swept.counts), notes=tuple(swept.notes))


STEPS: Mapping[str, Step] = {
    "months": Step("Makes the partitions of the coming months.", _months),
    "executions": Step(
        "Deletes executions that ended long ago, with their attempts and results.",
        lambda self, dry_run: _swept(self.retention.executions(dry_run=dry_run)),
    ),
    "events": Step(
        "Drops the months of events and decisions that are old.",
        lambda self, dry_run: _swept(self.retention.payloads(dry_run=dry_run)),
    ),
    "snapshots": Step(
        "Deletes states that no event saw which is still there.",
        lambda self, dry_run: _swept(self.retention.snapshots(dry_run=dry_run)),
    ),
    "keys": Step(
        "Deletes keys of events and firings that nothing can need any more.",
        lambda self, dry_run: _swept(self.retention.keys(dry_run=dry_run)),
    ),
    "traces": Step(
        "Deletes old activity, dead letters, own writes, checks and sessions.",
        lambda self, dry_run: _swept(self.retention.traces(dry_run=dry_run)),
    ),
    "workspaces": Step("Tells of idle workspaces, and has those archived that stayed so.", _workspaces),
    "credentials": Step("Warns of credentials that expire.", _credentials),
}
"""In order: events are kept for the sake of executions; decisions, states and keys for that of events."""
