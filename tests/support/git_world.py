"""The two worlds in which the contract of `GitPort` is held: the real client, and the fake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from dct_pipelines.clients.git import GitClient
from dct_pipelines.clients.processes import Processes
from dct_pipelines.domain.git import GitPort, PushStatus, RefUpdate, RepositoryRef, Signature
from dct_pipelines.domain.git_refs import Oid
from tests.fakes.git import FakeGit
from tests.support.repos import A_MOMENT, SampleRepository

NOWHERE = Oid("1" * 40)
WHO = Signature(name="Dynamic Context Triggers", email="dct@example.invalid", at=A_MOMENT)


WORLDS = ("fake", "real")


class Origin(Protocol):
    """A repository as its users write to it."""

    @property
    def url(self) -> str: ...
    def commit(
        self,
        branch: str,
        files: Mapping[str, str | None],
        message: str = ...,
        *,
        parents: Sequence[Oid] | None = ...,
        at: datetime = ...,
        who: str = ...,
    ) -> Oid: ...
    def branch(self, name: str, oid: Oid) -> None: ...
    def delete_branch(self, name: str) -> None: ...
    def tag(self, name: str, oid: Oid, message: str | None = None) -> None: ...
    def head(self, branch: str) -> Oid | None: ...
    def files(self, oid: Oid) -> dict[str, str]: ...


@dataclass
class World:
    """A port, and one repository that it can reach."""

    port: GitPort
    origin: Origin
    folder: Path

    @property
    def repo(self) -> RepositoryRef:
        return RepositoryRef(self.origin.url)

    def push(self, branch: str, new: Oid | None, expected: Oid | None) -> PushStatus:
        ref = f"refs/heads/{branch}"
        return self.port.push(self.repo, {ref: RefUpdate(new, expected)})[ref].status


def make_world(kind: str, folder: Path) -> World:
    """A port of that kind with one empty repository."""
    url = folder / "origin.git"
    if kind == "fake":
        fake = FakeGit()
        return World(fake, fake.repository(str(url)), folder)
    return World(GitClient(folder / "cache", Processes(folder)), SampleRepository.create(url), folder)
