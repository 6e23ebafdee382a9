"""The files of workspaces, on disk and in memory: made once, written whole, packed once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from dct_pipelines.clients.git import GitClient
from dct_pipelines.clients.processes import Processes
from dct_pipelines.clients.workspaces import WorkspaceFiles
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.git_refs import Oid
from dct_pipelines.domain.ports import BundleFile, Repository, WorkspaceFilesPort
from dct_pipelines.domain.process import IsolationMode
from dct_pipelines.domain.words import WorkspaceCode
from tests.fakes.workspaces import FakeWorkspaceFiles
from tests.support.repos import SampleRepository

ONE = UUID(int=1)


@dataclass
class Case:
    """The port, a repository with a commit, how to look at a file of the bundle, and how to lose the code."""

    port: WorkspaceFilesPort
    repository: Repository
    commit: Oid
    read: Callable[[str], str]
    lose_code: Callable[[], None]


def _fake(_directory: Path) -> Iterator[Case]:
    port = FakeWorkspaceFiles()
    repository = Repository(UUID(int=9), "shop", RepositoryRef("/srv/shop.git"))
    read, lose_code = (lambda name: port.bundles[ONE][name]), (lambda: port.without_code.add(ONE))
    yield Case(port, repository, Oid("a" * 40), read, lose_code)


def _real(directory: Path) -> Iterator[Case]:
    sample = SampleRepository.create(directory / "shop.git")
    commit = sample.commit("main", {"a.txt": "1\n"})
    processes = Processes(directory / "home", IsolationMode.NONE)
    port = WorkspaceFiles(directory / "home", GitClient(directory / "git", processes))
    repository = Repository(UUID(int=9), "shop", RepositoryRef(sample.url))

    def lose_code() -> None:
        shutil.rmtree(port.directory_for(ONE) / ".git")
        (port.directory_for(ONE) / "a.txt").unlink()

    yield Case(port, repository, commit, lambda name: (port.directory_for(ONE) / name).read_text(), lose_code)


FILES = {"fake": _fake, "real": _real}


@pytest.fixture(params=FILES)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    yield from FILES[request.param](tmp_path)


def test_a_workspace_is_where_it_was_said_to_be(case):
    directory = case.port.open(ONE, case.repository, "ws/1", case.commit)
    assert directory == case.port.directory_for(ONE)


def test_opening_again_finds_it_as_it_is(case):
    case.port.open(ONE, case.repository, "ws/1", case.commit)
    case.port.write(ONE, [BundleFile(".dct/context.md", "hello")])
    assert case.port.open(ONE, case.repository, "ws/1", case.commit) == case.port.directory_for(ONE)
    assert case.read(".dct/context.md") == "hello"


def test_code_that_is_lost_is_missed_and_comes_back_beside_what_is_there(case):
    assert case.port.code(ONE) is WorkspaceCode.GONE
    case.port.open(ONE, case.repository, "ws/1", case.commit)
    assert case.port.code(ONE) is WorkspaceCode.THERE
    case.port.write(ONE, [BundleFile(".dct/context.md", "hello")])
    case.lose_code()
    assert case.port.code(ONE) is WorkspaceCode.MISSING
    case.port.open(ONE, case.repository, "ws/1", case.commit)
    assert case.port.code(ONE) is WorkspaceCode.THERE
    assert case.read(".dct/context.md") == "hello"


def test_a_file_is_replaced_as_a_whole(case):
    case.port.open(ONE, case.repository, "ws/1", case.commit)
    for text in ("a long first text", "short"):
        case.port.write(ONE, [BundleFile(".dct/context.md", text)])
    assert case.read(".dct/context.md") == "short"


def test_packing_again_gives_the_same_archive(case):
    case.port.open(ONE, case.repository, "ws/1", case.commit)
    manifest = {"id": str(ONE), "branch": "ws/1"}
    first = case.port.archive(ONE, case.repository, manifest)
    assert case.port.archive(ONE, case.repository, manifest) == first
    assert first.size_bytes > 0
    assert len(first.sha256) == 64


def test_it_says_when_something_in_a_workspace_was_last_changed(case):
    assert case.port.touched_at(ONE) is None
    case.port.open(ONE, case.repository, "ws/1", case.commit)
    touched = case.port.touched_at(ONE)
    assert touched is not None
    assert abs(datetime.now(UTC) - touched) < timedelta(minutes=5)
    case.port.archive(ONE, case.repository, {"branch": "ws/1"})
    assert case.port.touched_at(ONE) is None


def test_a_change_deep_in_a_workspace_counts_and_a_link_out_of_it_does_not(tmp_path: Path):
    port = WorkspaceFiles(tmp_path, GitClient(tmp_path / "git", Processes(tmp_path, IsolationMode.NONE)))
    deep = port.directory_for(ONE) / "a" / "b"
    deep.mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "new").write_text("now")
    (deep / "link").symlink_to(outside)
    (deep / "file").write_text("then")
    for path in (deep / "link", deep / "file", deep, deep.parent, deep.parent.parent):
        os.utime(path, (1_000_000_000, 1_000_000_000), follow_symlinks=False)
    then = datetime.fromtimestamp(1_000_000_000, UTC)
    assert port.touched_at(ONE) == then
    os.utime(deep / "file", (1_100_000_000, 1_100_000_000))
    assert port.touched_at(ONE) == datetime.fromtimestamp(1_100_000_000, UTC)
