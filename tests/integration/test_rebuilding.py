"""A workspace that a restore brings back without its code gets it from its branch, or says why it cannot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, select, update

from dct_pipelines.clients.git import GitClient
from dct_pipelines.clients.processes import Processes
from dct_pipelines.clients.workspaces import WorkspaceFiles
from dct_pipelines.domain.errors import NotFound, NotPermitted
from dct_pipelines.domain.git_refs import Oid
from dct_pipelines.domain.ports import BundleFile
from dct_pipelines.domain.process import IsolationMode
from dct_pipelines.domain.words import WorkspaceCode
from dct_pipelines.engine.rebuilding import Rebuilding
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from dct_pipelines.store.definitions import people
from dct_pipelines.store.library import Library
from tests.fakes.ports import FakeSecrets
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.elsewhere import *  # noqa: F403
from tests.support.elsewhere import altered, backup_of, quiet, restoring_into
from tests.support.repos import SampleRepository, git
from tests.support.world import World

pytestmark = pytest.mark.integration
ONE = UUID("11111111-0000-4000-8000-000000000001")


@dataclass
class Place:
    """A deployment whose files lie at `home`, and a repository that it knows."""

    database: Database
    home: Path
    origin: SampleRepository

    @property
    def files(self) -> WorkspaceFiles:
        return WorkspaceFiles(self.home, self.git)

    @property
    def git(self) -> GitClient:
        return GitClient(self.home / "git", Processes(self.home, IsolationMode.NONE))

    @property
    def library(self) -> Library:
        return Library(self.database, FakeSecrets())

    @property
    def rebuilding(self) -> Rebuilding:
        return Rebuilding(self.database, self.library, self.git, self.files)

    def directory(self) -> Path:
        return self.files.directory_for(ONE)

    def row(self) -> dict[str, Any]:
        with self.database.connect() as connection:
            found = connection.execute(select(tables.workspaces)).one()
        return dict(found._mapping)


@pytest.fixture
def here(database: Database, tmp_path: Path) -> Place:
    """The original: an open workspace on `ws/1`, that nobody has pushed yet."""
    world = World(database)
    origin = SampleRepository.create(tmp_path / "shop.git")
    start = origin.commit("main", {"a.txt": "1\n", "sub/b.txt": "1\n"})
    place = Place(database, tmp_path / "here", origin)
    place.home.mkdir()
    item = tables.context_library
    row = {
        "id": ONE,
        "title": "try it",
        "repository_item_id": world.item_id,
        "branch": "ws/1",
        "start_commit": start,
        "directory": str(place.directory()),
        "state": "open",
        "execution_id": uuid4(),
        "context_digest": "d1",
    }
    with database.begin() as connection:
        connection.execute(update(item).values(location=origin.url, connection_id=None))
        connection.execute(insert(tables.workspaces).values(row))
    place.files.open(ONE, place.library.repository_by_id(world.item_id), "ws/1", start)
    place.files.write(ONE, [BundleFile(".dct/.gitignore", "*\n"), BundleFile(".dct/context.md", "why\n")])
    return place


@pytest.fixture
def restored(here: Place, elsewhere: Database, tmp_path: Path) -> Callable[[], Place]:
    """Backs the original up and restores it in another database and home."""

    def restore() -> Place:
        backup_of(here.database, tmp_path / "b", here.home)
        there = Place(elsewhere, tmp_path / "there" / ".dct", here.origin)
        restoring_into(elsewhere, there.home).restore(tmp_path / "b", "local", quiet, replace=False)
        return there

    return restore


def work_and_push(place: Place, *, push: bool = True) -> Oid:
    directory = place.directory()
    (directory / "work.txt").write_text("done\n")
    git("add", ".", cwd=directory)
    git("commit", "-q", "-m", "Work", cwd=directory)
    if push:
        git("push", "-q", "origin", "ws/1", cwd=directory)
    return Oid(git("rev-parse", "HEAD", cwd=directory))


def test_the_code_of_a_restored_workspace_is_missed_and_comes_back_from_its_branch(here, restored):
    head = work_and_push(here)
    there = restored()
    [lost] = there.rebuilding.missing()
    assert (lost.id, lost.code, lost.directory) == (ONE, WorkspaceCode.MISSING, str(there.directory()))
    [told] = there.rebuilding.rebuild(None, "local")
    assert (told.is_back, head[:8] in told.says) == (True, True)
    assert there.rebuilding.missing() == ()
    assert (there.directory() / "work.txt").read_text() == "done\n"
    assert (there.directory() / ".dct/context.md").read_text() == "why\n"
    assert git("status", "--porcelain", cwd=there.directory()) == ""
    repository = there.library.repository("sample").ref
    assert there.git.collect_worktree(repository, "ws/1", there.directory()) == head


def test_what_was_never_pushed_is_not_made_up_and_begins_again_only_when_told_so(here, restored):
    work_and_push(here, push=False)
    there = restored()
    [told] = there.rebuilding.rebuild(["1111"], "local")
    assert not told.is_back
    assert "was never pushed" in told.says
    assert "--from-start" in told.says
    assert there.files.code(ONE) is WorkspaceCode.MISSING
    [told] = there.rebuilding.rebuild(["1111"], "local", from_start=True)
    assert (told.is_back, (there.directory() / "a.txt").read_text()) == (True, "1\n")
    assert not (there.directory() / "work.txt").exists()


def test_a_dry_run_says_what_would_come_back_and_changes_nothing(here, restored):
    work_and_push(here)
    there = restored()
    [told] = there.rebuilding.rebuild(None, "local", dry_run=True)
    assert (told.is_back, "would be rebuilt" in told.says) == (True, True)
    assert there.files.code(ONE) is WorkspaceCode.MISSING


def test_a_repository_that_is_away_is_told_and_holds_up_no_other(here, restored):
    there = restored()
    here.origin.path.rename(here.origin.path.with_name("moved"))
    [told] = there.rebuilding.rebuild(None, "local", from_start=True)
    assert not told.is_back
    assert str(here.origin.path) in told.says


def test_a_workspace_that_is_gone_as_a_whole_gets_its_context_by_the_next_update(here):
    work_and_push(here)
    here.files.git.remove_worktree(here.library.repository("sample").ref, here.directory())
    [lost] = here.rebuilding.missing()
    assert lost.code is WorkspaceCode.GONE
    here.rebuilding.rebuild(None, "local")
    assert (here.row()["context_digest"], here.files.code(ONE)) == ("", WorkspaceCode.THERE)


def test_only_operators_rebuild_and_it_is_audited(here, restored):
    work_and_push(here)
    with here.database.begin() as connection:
        people.save(connection, "ann", "developer", None)
        people.save(connection, "olga", "operator", None)
    there = restored()
    with pytest.raises(NotPermitted, match="ask an operator"):
        there.rebuilding.rebuild(None, "ann")
    there.rebuilding.rebuild(None, "olga")
    with there.database.connect() as connection:
        [row] = people.audited(connection, "workspace", str(ONE))
    assert (row["actor"], row["verb"], row["detail"]["branch"]) == ("olga", "rebuild", "ws/1")


def test_an_id_of_a_workspace_that_has_its_code_is_refused(here):
    with pytest.raises(NotFound, match="0 workspaces without code have"):
        here.rebuilding.rebuild(["1111"], "local")


@pytest.mark.parametrize("says_home", [True, False])
def test_paths_below_the_original_home_are_those_of_this_one(
    here: Place, elsewhere: Database, tmp_path: Path, says_home: bool
):
    """Also with a backup of a release that did not say where its home was."""
    directory, archived = str(here.directory()), str(here.home / "archives" / f"{ONE}.tar.gz")
    with here.database.begin() as connection:
        connection.execute(update(tables.workspaces).values(archive_path=archived))
        shelf = tables.trigger_executions
        made = {"triggered_by": "manual", "created_by": "local", "job_name": "x", "id": ONE}
        connection.execute(insert(shelf).values(made))
        outputs = {"path": directory, "words": f"see {directory}", "other": f"{directory[:-5]}x"}
        done = {
            "execution_id": ONE,
            "action_index": 0,
            "action_type": "create_workspace",
            "name": "create_workspace",
            "state": "done",
            "attempt": 1,
            "idempotency_key": "k",
            "outputs": outputs,
            "started_at": "2026-01-01T00:00:00Z",
        }
        connection.execute(insert(tables.action_results).values(done))
    backup_of(here.database, tmp_path / "b", here.home)
    path = tmp_path / "b"
    if not says_home:
        path = altered(path, lambda made: made.model_copy(update={"home": None}))
    home = tmp_path / "there" / ".dct"
    restoring_into(elsewhere, home).restore(path, "local", quiet, replace=False)
    there = Place(elsewhere, home, here.origin)
    row = there.row()
    assert (row["directory"], row["archive_path"]) == (
        str(there.directory()),
        str(home / "archives" / f"{ONE}.tar.gz"),
    )
    with elsewhere.connect() as connection:
        found = connection.scalar(select(tables.action_results.c.outputs))
    assert found is not None
    assert found["path"] == str(there.directory())
    assert found["words"] == f"see {directory}"


def test_operators_are_told_of_it_and_bring_it_back(
    here: Place, dct: Dct, elsewhere_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    work_and_push(here)
    backup_of(here.database, tmp_path / "b", here.home)
    (tmp_path / "dagster.yaml").touch()
    monkeypatch.setenv("DCT_DATABASE_URL", elsewhere_url)
    monkeypatch.setenv("DCT_HOME", str(tmp_path / "other"))
    assert "1 open workspace has no code here: `dct restore workspace --all`" in dct("restore", "b").out
    assert "`dct restore workspace 11111111`" in dct("restore", "list").out
    [lost] = dct("restore", "list", "--json").data["without_code"]
    assert lost["repository"] == "sample"
    assert "holds no code" in dct("doctor", "--quiet").out
    assert dct("restore", "workspace").code == 2
    said = dct("restore", "workspace", "1111", "--json").data
    assert said["workspaces"][0]["is_back"]
    assert "every workspace has its code" in dct("restore", "workspace", "--all").out
    assert "holds no code" not in dct("doctor", "--quiet").out


def test_a_workspace_that_cannot_be_brought_back_fails_the_command(
    here: Place, dct: Dct, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "dagster.yaml").touch()
    monkeypatch.setenv("DCT_HOME", str(tmp_path / "other"))
    said = dct("restore", "workspace", "--all")
    assert (said.code, "has no branch ws/1" in said.out) == (1, True)
