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
    from dct_pipelines.engine.months import Months
    from dct_pipelines.engine.pacing import Swept
    from dct_pipelines.engine.retention import Retention


class StepReport(Fact):
    """What a step did, or with a dry run would do: rows that went by table, and sentences.

    `did` says it of a step that deletes nothing by nature. `warnings` are those that somebody should read.
    A step that is not whole left something for the next time, and does not count as done.
    """

    step: str
    deleted: Mapping[str, int] = {}
    did: str = ""
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    is_whole: bool = True
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
    months: Months
    retention: Retention
    workspaces: IdleWorkspaces
    credential_days: float = expiring.WARN_DAYS
    """So long before its end the credential of a connection is warned of."""

    def begin(self) -> tuple[str, ...]:
        """What a start must not wait with until the daily turn: this month's partitions. Returns what to say.

        Takes less than a second, and never stands in the way of the start: without them work goes on.
        """
        try:
            if not self.months.missing():
                return ()
            with turn.taken(self.database, turn.MAINTENANCE) as is_mine:
                return self.months.make_in_haste() if is_mine else ()
        except Exception as error:  # noqa: BLE001 - whatever it is, the daily turn tries again
            return (f"the partitions of this month could not be made, the daily maintenance will: {error}",)

    def run(self, step: str, *, dry_run: bool = False) -> StepReport:
        """Run one of `STEPS`, unless one is being run elsewhere: then the report says so."""
        begun = time.monotonic()
        with turn.taken(self.database, turn.MAINTENANCE) as is_mine:
            if not is_mine:
                return StepReport(
                    step=step, did="nothing", warnings=("another maintenance is at work; nothing was done",)
                )
            report = STEPS[step].work(self, dry_run)
            seconds = round(time.monotonic() - begun, 3)
            if report.is_whole and not dry_run:
                with self.database.begin() as connection:
                    upkeep.note(connection, step, report.deleted, seconds)
        return report.model_copy(update={"step": step, "seconds": seconds})


def _months(self: Maintenance, dry_run: bool) -> StepReport:
    if dry_run:
        missing = (partitions.name_of(payload, month) for month, payload in self.months.missing())
        notes = tuple(f"{name} would be made" for name in missing)
    else:
        notes = self.months.make()
        with partitions.patiently(self.database) as connection:
            for payload in partitions.PAYLOADS:
                partitions.analyze(connection, payload)
            connection.commit()
    did = f"of the coming months {len(notes)} partitions were missing" if notes else "no month is missing"
    return StepReport(step="", did=did, notes=notes)


def _workspaces(self: Maintenance, dry_run: bool) -> StepReport:
    found = self.workspaces.look(dry_run=dry_run)
    days = self.workspaces.notice_days
    later = counted(days, "day")
    warnings = [f"workspace {title!r} is idle and will be archived in {later}" for title in found.told]
    become = "would be" if dry_run else "is being"
    notes = [f"workspace {title!r} {become} archived" for title in found.archiving]
    if found.withdrawn:
        many = ("workspace is in use again and stays", "workspaces are in use again and stay")
        notes.append(counted(found.withdrawn, *many))
    did = f"told of {counted(len(found.told), 'idle workspace')}, has {len(found.archiving)} archived"
    if dry_run:
        did = f"would tell of {counted(len(found.told), 'idle workspace')}, archive {len(found.archiving)}"
    is_quiet = not (warnings or notes)
    return StepReport(
        step="",
        did="no workspace has become idle" if is_quiet else did,
        notes=tuple(notes),
        warnings=tuple(warnings),
    )


def _credentials(self: Maintenance, dry_run: bool) -> StepReport:
    """Of the credential of a connection it warns once, and of another one of it again."""
    now = self.clock.now()
    with self.database.connect() as connection:
        tokens = expiring.tokens(connection, now)
        endings = expiring.credentials(connection, now, self.credential_days)
    fresh = [one for one in endings if not one.is_warned_of]
    if fresh and not dry_run:
        with self.database.begin() as connection:
            expiring.warned(connection, fresh)
    found = counted(len(tokens), "token") if tokens else "no token"
    found += f" and {counted(len(endings), 'credential')}" if endings else " and no credential"
    return StepReport(
        step="",
        did=f"found {found} that ended or will before long",
        warnings=(
            *(f"{sentence}: {expiring.MEND}" for sentence in tokens),
            *(f"{one.says}: {one.mend}" for one in fresh),
        ),
        notes=tuple(f"{one.says}, as was said before" for one in endings if one.is_warned_of),
    )


def _swept(swept: Swept) -> StepReport:
    deleted, notes = dict(+swept.counts), tuple(swept.notes)
    return StepReport(step="", deleted=deleted, notes=notes, is_whole=swept.is_whole)


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
        "Deletes keys of events and firings, and notes of what was sent, that nothing can need any more.",
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
