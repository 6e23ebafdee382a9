"""What operators decide in a restored deployment: what was done already, and when work may start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.errors import InvalidInput, NotFound, NotPermitted, StillUncertain
from dct_pipelines.domain.execution import ExecutionState
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.restored import Restored, Uncertain, Unread
from dct_pipelines.domain.roles import deployment_fault
from dct_pipelines.engine.manage.stored import load
from dct_pipelines.store import restoring
from dct_pipelines.store.database import Connection, Database
from dct_pipelines.store.definitions import people
from dct_pipelines.store.executions.transitions import transition

KIND = "deployment"
"""What the audit log calls the object."""
SKIPPED = "skipped after a restore by {by}: the original deployment may have done it already"
HELD = ("execution is held", "executions are held")
LONGEST_DETAIL = 200
"""Ids that one row of the audit log names."""


class RestoredReport(Fact):
    """A restored deployment: from what, what is held, and which connections have still to be read.

    `restored` None: it is not paused; something may be held all the same, from a restore before.
    """

    restored: Restored | None
    uncertain: tuple[Uncertain, ...]
    unread: tuple[Unread, ...]


@dataclass(frozen=True)
class RestoredService:
    """Answers `dct restore list`, and does what operators decide."""

    database: Database

    def report(self) -> RestoredReport:
        """What is held, in the order of the events, and what has to be read before that is all."""
        with self.database.connect() as connection:
            restored = restoring.state(connection)
            return RestoredReport(
                restored=restored,
                uncertain=tuple(restoring.held(connection)),
                unread=tuple(restoring.unread(connection, restored.at)) if restored is not None else (),
            )

    def release(self, prefixes: Sequence[str] | None, by: str) -> list[UUID]:
        """Let executions go on that are held; None: all. They start when `finish` has been said.

        NotFound for a prefix that names none that is held.
        """
        with self.database.begin() as connection:
            _permit(connection, by)
            chosen = _chosen(connection, prefixes)
            released = restoring.release(connection, chosen, by)
            _audit(connection, by, "release", released)
        return released

    def skip(self, prefixes: Sequence[str] | None, by: str) -> list[UUID]:
        """End executions that are held, as cancelled; None: all. `dct execution retry` takes one up again."""
        with self.database.begin() as connection:
            _permit(connection, by)
            chosen = _chosen(connection, prefixes)
            for execution_id in chosen:
                transition(connection, execution_id, ExecutionState.CANCELLED, message=SKIPPED.format(by=by))
            _audit(connection, by, "skip", chosen)
        return chosen

    def finish(self, by: str, *, unread_too: bool = False) -> Restored:
        """Let work start again.

        `StillUncertain` while something is held, or while a connection has not been read since the restore:
        what changed there since the backup would fire as if it were new. `unread_too` accepts the latter.
        """
        with self.database.begin() as connection:
            _permit(connection, by)
            restored = restoring.state(connection)
            if restored is None:
                raise InvalidInput("this deployment is not paused by a restore; there is nothing to finish")
            if count := restoring.count_held(connection):
                raise StillUncertain(
                    f"{counted(count, *HELD)} as uncertain: `dct restore list` shows what; release or skip "
                    "it first (--all does so with all)"
                )
            unread = restoring.unread(connection, restored.at)
            if unread and not unread_too:
                raise StillUncertain(_about_unread(unread))
            # Ends the pause under the lock of the order; what fired meanwhile is seen by a second count.
            restoring.end(connection)
            if restoring.count_held(connection):
                raise StillUncertain("something fired just now and is held; look at `dct restore list` again")
            detail = {"backup": str(restored.backup_id), "unread": [one.connection for one in unread]}
            people.audit(connection, by, "finish_restore", KIND, "restore", detail)
        return restored


def _about_unread(unread: Sequence[Unread]) -> str:
    told = "\n".join(
        f"  {one.connection} ({counted(one.items, 'item')}){f': {one.detail}' if one.detail else ''}"
        for one in unread
    )
    return (
        "not read since the restore, so that what changed there since the backup would fire as if it were "
        f"new:\n{told}\n`dct up` or `dct listener start` reads them and starts nothing; "
        "`--unread` finishes all the same"
    )


def _permit(connection: Connection, by: str) -> None:
    if message := deployment_fault(load(connection).role(by)):
        raise NotPermitted(message)


def _chosen(connection: Connection, prefixes: Sequence[str] | None) -> list[UUID]:
    held = restoring.held_ids(connection)
    if prefixes is None:
        return held
    chosen: dict[UUID, None] = {}
    for prefix in prefixes:
        meant = [one for one in held if str(one).startswith(prefix.lower())]
        if len(meant) != 1:
            many = counted(len(meant), "execution that is held has", "executions that are held have")
            raise NotFound(f"{many} an id that begins with {prefix!r}; see `dct restore list`")
        chosen[meant[0]] = None
    return list(chosen)


def _audit(connection: Connection, by: str, verb: str, execution_ids: Sequence[UUID]) -> None:
    if execution_ids:
        detail = {"count": len(execution_ids), "ids": [str(one) for one in execution_ids[:LONGEST_DETAIL]]}
        people.audit(connection, by, verb, KIND, "restore", detail)
