"""Bringing back the code of workspaces that have none here: a backup holds their context only.

What an agent or a person had not pushed is nowhere else, so that it is said and not made up: only when told
so does a workspace begin again where it once began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dct_pipelines.domain.counting import counted
from dct_pipelines.domain.errors import DctError, NotFound, NotPermitted
from dct_pipelines.domain.git import GitPort
from dct_pipelines.domain.git_refs import Oid, branch_ref
from dct_pipelines.domain.ports import LibraryPort, Repository, WorkspaceFilesPort
from dct_pipelines.domain.restored import Rebuilt, WithoutCode
from dct_pipelines.domain.roles import deployment_fault
from dct_pipelines.domain.words import WorkspaceCode
from dct_pipelines.engine.manage.stored import load
from dct_pipelines.store import open_workspaces
from dct_pipelines.store.database import Connection, Database, Row
from dct_pipelines.store.definitions import people

KIND = "workspace"
"""What the audit log calls the object."""


@dataclass(frozen=True)
class Rebuilding:
    """Finds workspaces without code, and rebuilds them from their branches."""

    database: Database
    library: LibraryPort
    git: GitPort
    files: WorkspaceFilesPort

    def missing(self) -> tuple[WithoutCode, ...]:
        """The workspaces that are open and whose code is not here, the oldest first."""
        with self.database.connect() as connection:
            return tuple(without_code(connection, self.files))

    def rebuild(
        self, prefixes: Sequence[str] | None, by: str, *, from_start: bool = False, dry_run: bool = False
    ) -> list[Rebuilt]:
        """Bring their code back, those whose ids begin so; None: all. One that cannot holds up no other.

        `from_start` begins again at the first commit where the branch was never pushed, or is gone.
        NotFound for a prefix that names no workspace without code, NotPermitted unless `by` may restore.
        """
        with self.database.connect() as connection:
            if message := deployment_fault(load(connection).role(by)):
                raise NotPermitted(message)
            rows = {row.id: row for row in open_workspaces.every(connection)}
            chosen = _chosen(list(without_code(connection, self.files)), prefixes)
        return [self._told(one, rows[one.id], by, from_start, dry_run) for one in chosen]

    def _told(self, one: WithoutCode, row: Row[Any], by: str, from_start: bool, dry_run: bool) -> Rebuilt:
        try:
            is_back, says = self._bring_back(one, row, by, from_start, dry_run)
        except DctError as error:
            is_back, says = False, str(error)
        return Rebuilt(id=one.id, title=one.title, branch=one.branch, is_back=is_back, says=says)

    def _bring_back(
        self, one: WithoutCode, row: Row[Any], by: str, from_start: bool, dry_run: bool
    ) -> tuple[bool, str]:
        repository = self.library.repository_by_id(row.repository_item_id)
        ref = branch_ref(one.branch)
        head = self.git.resolve(repository.ref, ref)
        if head is None and not from_start:
            return False, (
                f"{one.repository} has no branch {one.branch}: it was never pushed, or was deleted. "
                f"Put {one.directory} back from where it was kept, or say --from-start to begin again at "
                f"{row.start_commit[:8]}"
            )
        commit = head or Oid(row.start_commit)
        words = f"at {commit[:8]}, {'the head of its branch' if head else 'where it once began'}"
        if dry_run:
            return True, f"would be rebuilt {words}"
        self.git.fetch(repository.ref, {ref if head else self._default(repository, ref): commit})
        directory = self.files.open(one.id, repository, one.branch, commit)
        with self.database.begin() as connection:
            has_context = one.code is WorkspaceCode.MISSING
            open_workspaces.rebuilt(connection, one.id, str(directory), has_context=has_context)
            detail = {"title": one.title, "branch": one.branch, "commit": commit}
            people.audit(connection, by, "rebuild", KIND, str(one.id), detail)
        return True, f"rebuilt in {directory} {words}"

    def _default(self, repository: Repository, ref: str) -> str:
        """A branch that leads to the first commit, for hosts that give no commit by its id alone."""
        default = self.git.list_refs(repository.ref).default_branch
        return branch_ref(default) if default else ref


def without_code(connection: Connection, files: WorkspaceFilesPort) -> Iterator[WithoutCode]:
    """The open workspaces whose code is not on this machine."""
    for row in open_workspaces.every(connection):
        code = files.code(row.id)
        if code is not WorkspaceCode.THERE:
            yield WithoutCode(
                id=row.id,
                title=row.title,
                repository=row.repository,
                branch=row.branch,
                directory=str(files.directory_for(row.id)),
                code=code,
            )


def _chosen(found: Sequence[WithoutCode], prefixes: Sequence[str] | None) -> list[WithoutCode]:
    if prefixes is None:
        return list(found)
    chosen: dict[WithoutCode, None] = {}
    for prefix in prefixes:
        meant = [one for one in found if str(one.id).startswith(prefix.lower())]
        if len(meant) != 1:
            many = counted(len(meant), "workspace without code has", "workspaces without code have")
            raise NotFound(f"{many} an id that begins with {prefix!r}; see `dct restore list`")
        chosen[meant[0]] = None
    return list(chosen)
