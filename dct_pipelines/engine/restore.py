"""Restoring a backup into a deployment that is empty, or is to be replaced; what comes back starts paused.

Everything that can be wrong with a backup is looked for before anything is changed. What was there is set
aside until the restore is complete: the last transaction says which revision the tables are, brings them to
this release, and pauses the deployment, so that there is no moment at which a restored one could start work.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import dct_pipelines
from dct_pipelines.clients.backup_file import BackupFile
from dct_pipelines.domain.backups import DUMP, Dependant, Grant, Manifest
from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.errors import BackupUnusable, InvalidInput, NotEmpty, NotPermitted
from dct_pipelines.domain.facts import Fact
from dct_pipelines.domain.ports import Clock
from dct_pipelines.domain.restored import Restored
from dct_pipelines.domain.roles import Role, deployment_fault
from dct_pipelines.domain.words import RESTORED_OUTBOX
from dct_pipelines.engine.backup import Tell
from dct_pipelines.engine.manage.stored import load
from dct_pipelines.engine.months import Months
from dct_pipelines.engine.restored import KIND
from dct_pipelines.store import rehoming, restoring, revision, schema
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions import people
from dct_pipelines.store.dumps import Way, beside, content, give_back, others, put_back, require_programs


class RestorePlan(Fact):
    """What a restore would do, or did. `replaces` is empty for a deployment with nothing in it."""

    manifest: Manifest
    replaces: dict[str, int]
    migrates_from: str | None
    """The revision of the backup, where it is an older one."""
    grants: tuple[Grant, ...] = ()
    """What others may do with what is replaced: they may do it with what comes back, too."""


class RestoreReport(Fact):
    """A restore that was done: what is held as uncertain, and which files of the home were put back.

    `kept` is what was there already, or has a link on its way, and was left alone. `lost` grants speak of
    what the backup does not have.
    """

    plan: RestorePlan
    held: int
    files: tuple[str, ...]
    kept: tuple[str, ...]
    lost: tuple[Grant, ...] = ()

    @property
    def messages(self) -> int:
        """How many messages of the backup lie beside the outbox, for somebody to look at."""
        return sum(name.startswith(f"{RESTORED_OUTBOX}/") for name in (*self.files, *self.kept))


@dataclass(frozen=True)
class Restoring:
    """Restores into the database and the home of this deployment."""

    database: Database
    home: Path
    clock: Clock
    way: Way | None = None
    """How the dump gets into the server, where that is not for the server to say."""

    def plan(self, path: Path, by: str, *, replace: bool) -> RestorePlan:
        """Check everything and say what would be done.

        `BackupUnusable` for a file that is damaged or of a newer release, `NotEmpty` for a deployment with
        something in it unless `replace`, InvalidInput while other programs use the database, or where a
        program is missing that restores into this server, or something of others would go.
        """
        manifest = BackupFile(path).verify()
        if not schema.knows(manifest.revision):
            raise BackupUnusable(
                f"the backup is of release {manifest.release} (revision {manifest.revision}), which this "
                f"one, {dct_pipelines.__version__}, does not know: install that release or a later one"
            )
        self._permit(by)
        there = content(self.database)
        if str(there) and not replace:
            raise NotEmpty(
                f"there is a deployment here already ({there}): back it up, and say --replace to put the "
                "backup in its place, or set DCT_HOME or DCT_DATABASE_URL to another one"
            )
        if programs := others(self.database):
            raise InvalidInput(
                f"other programs use the database ({', '.join(programs)}): stop `dct up` and whatever else "
                "works on it, and try again"
            )
        require_programs(self.database)
        hanging, grants = beside(self.database)
        if hanging:
            raise InvalidInput(_told_of(hanging))
        older = manifest.revision if manifest.revision != schema.head_revision() else None
        return RestorePlan(manifest=manifest, replaces=dict(there.rows), migrates_from=older, grants=grants)

    def restore(self, path: Path, by: str, tell: Tell, *, replace: bool) -> RestoreReport:
        """Do it; whatever fails leaves the database as it was, and no file of the backup in the home."""
        plan = self.plan(path, by, replace=replace)
        manifest, file = plan.manifest, BackupFile(path)
        tell(f"the backup is whole; restoring {counted(manifest.rows, 'row')}")
        with (
            file.content(DUMP) as dump,
            put_back(self.database, dump, manifest.tables, manifest.schemas, self.way),
        ):
            tell("every table is as it was; bringing it to this release")
            with file.home_unpacked(self.home, manifest) as unpacked:
                held, lost = self._complete(plan, path, by)
        self._make_months()
        schema.optimize(self.database)
        return RestoreReport(
            plan=plan,
            held=held,
            files=tuple(unpacked.written),
            kept=tuple(unpacked.kept),
            lost=tuple(lost),
        )

    def _complete(self, plan: RestorePlan, path: Path, by: str) -> tuple[int, list[Grant]]:
        manifest = plan.manifest
        restored = Restored(backup_id=manifest.id, as_of=manifest.as_of, at=self.clock.now())
        with self.database.begin() as connection:
            schema.come_back(connection, manifest.revision)
            restoring.take_time(connection)
            lost = give_back(connection, plan.grants)
            held = restoring.begin(connection, restored)
            rehoming.move_home(connection, self.home, manifest.home)
            people.ensure_local_admin(connection)
            detail = {
                "backup": str(manifest.id),
                "as_of": manifest.as_of.isoformat(),
                "held": held,
                "replaced": {table: rows for table, rows in plan.replaces.items() if rows},
            }
            people.audit(connection, by, "restore", KIND, path.name, detail)
        return held, lost

    def _make_months(self) -> None:
        """The partitions of the coming months, of which the backup knew nothing. Nobody else is here yet."""
        Months(self.database, self.clock).make()

    def _permit(self, by: str) -> None:
        """Who may is said by the deployment that would be replaced; in an empty one, the local admin may."""
        with self.database.connect() as connection:
            is_there = revision.found(connection) == revision.newest()
            role = load(connection).role(by) if is_there else Role.ADMIN if by == people.LOCAL_USER else None
        if role is None:
            raise NotPermitted(f"{by} is unknown here: the local administrator restores into an empty place")
        if message := deployment_fault(role):
            raise NotPermitted(message)


def _told_of(hanging: tuple[Dependant, ...]) -> str:
    return "\n".join(
        (
            "others have made what depends on the tables that would be replaced, and would go with them:",
            *(f"  {one}" for one in hanging),
            "let whoever made them keep their definitions (`pg_dump --schema-only`), drop them, and make "
            "them again after the restore; nothing was changed",
        )
    )
