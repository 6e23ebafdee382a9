"""Workspaces on disk: hostile content, attempts that died, and test suites in every place."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest

from dct_pipelines.clients.deployers import Releases
from dct_pipelines.clients.git import GitClient
from dct_pipelines.clients.processes import Processes
from dct_pipelines.clients.suites import SuiteRunner
from dct_pipelines.clients.workspaces import WorkspaceFiles
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.junit import tally
from dct_pipelines.domain.operations import ProcessLimits, SuiteSpec
from dct_pipelines.domain.ports import BundleFile, Repository, SuiteRequest, SuiteRun
from dct_pipelines.domain.process import IsolationMode
from tests.fakes.ports import FakeSecrets
from tests.support.repos import SampleRepository, git

pytestmark = pytest.mark.integration

ONE = UUID(int=1)
MANIFEST = {"id": str(ONE), "branch": "ws/1", "title": "Try"}
REPORT = '<testsuite><testcase name="a"/></testsuite>'
WRITE = f"echo '{REPORT}' > junit.xml"


class Place:
    """A repository, workspaces of it, and a runner of suites."""

    def __init__(self, directory: Path, mode: IsolationMode = IsolationMode.NONE) -> None:
        self.home = directory / "home"
        self.home.mkdir()
        self.sample = SampleRepository.create(directory / "shop.git")
        self.commit = self.sample.commit("main", {"a.txt": "1\n", "sub/b.txt": "1\n"})
        self.repository = Repository(UUID(int=9), "shop", RepositoryRef(self.sample.url))
        processes = Processes(self.home, mode)
        self.git = GitClient(self.home / "git", processes)
        self.files = WorkspaceFiles(self.home, self.git)
        self.releases = Releases(self.home)
        self.log: list[str] = []
        self.runner = SuiteRunner(
            self.home / "scratch",
            self.git,
            processes,
            FakeSecrets({"env:TOKEN": "tok-12345"}),
            self.files,
            self.releases,
        )

    def open(self) -> Path:
        return self.files.open(ONE, self.repository, "ws/1", self.commit)

    def suite(self, script: str, place: dict[str, Any] | None = None, **changes: Any) -> SuiteRun:
        spec = SuiteSpec.model_validate({"name": "unit", "command": ["sh", "-c", script]} | changes)
        request = SuiteRequest(
            suite=spec,
            repository=self.repository,
            commit=self.commit,
            key="k1",
            log=self.log.append,
            is_cancelled=lambda: False,
            **(place or {}),
        )
        return self.runner.run(request)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_workspace_has_its_files_and_its_branch(place):
    directory = place.open()
    assert (directory / "a.txt").read_text() == "1\n"
    assert git("symbolic-ref", "HEAD", cwd=directory) == "refs/heads/ws/1"


def test_the_bundle_stays_out_of_git(place):
    directory = place.open()
    place.files.write(ONE, [BundleFile(".dct/.gitignore", "*\n"), BundleFile(".dct/context.md", "x")])
    assert git("status", "--porcelain", "--ignored=no", cwd=directory) == ""


@pytest.mark.parametrize("to", ["/etc", "../..", "."])
def test_a_link_in_the_place_of_the_bundle_is_not_followed(place, tmp_path, to):
    directory = place.open()
    (directory / ".dct").symlink_to(to)
    with pytest.raises(ActionFailed, match="is a link or a file"):
        place.files.write(ONE, [BundleFile(".dct/context.md", "x")])
    assert not list(tmp_path.rglob("context.md"))


def test_a_link_in_the_place_of_a_file_is_replaced_not_followed(place, tmp_path):
    directory = place.open()
    outside = tmp_path / "outside"
    outside.write_text("untouched")
    (directory / ".dct").mkdir()
    (directory / ".dct/context.md").symlink_to(outside)
    place.files.write(ONE, [BundleFile(".dct/context.md", "x")])
    assert outside.read_text() == "untouched"
    assert (directory / ".dct/context.md").read_text() == "x"


def test_what_cannot_be_written_is_explained(place):
    directory = place.open()
    (directory / ".dct/context.md").mkdir(parents=True)
    with pytest.raises(ActionFailed, match="is a directory"):
        place.files.write(ONE, [BundleFile(".dct/context.md", "x")])
    for name in ("../x", "/etc/x"):
        with pytest.raises(ActionFailed, match="leads out"):
            place.files.write(ONE, [BundleFile(name, "x")])
    assert [path.name for path in (directory / ".dct").iterdir()] == ["context.md"]
    with pytest.raises(ActionInterrupted, match="cannot be used"):
        place.files.write(UUID(int=2), [BundleFile("x", "x")])


def test_an_archive_holds_everything_and_can_be_checked(place):
    directory = place.open()
    (directory / "work.txt").write_text("done\n")
    git("add", "work.txt", cwd=directory)
    git("commit", "-q", "-m", "Work", cwd=directory)
    (directory / "not-committed.txt").write_text("too\n")
    (directory / "link").symlink_to("/etc/passwd")
    os.mkfifo(directory / "pipe")
    head = git("rev-parse", "HEAD", cwd=directory)
    archive = place.files.archive(ONE, place.repository, MANIFEST)
    assert not directory.exists()
    assert hashlib.sha256(archive.path.read_bytes()).hexdigest() == archive.sha256
    with tarfile.open(archive.path) as packed:
        names = packed.getnames()
        manifest = packed.extractfile("manifest.json")
        assert manifest is not None
        told = json.load(manifest)
        link = packed.getmember("workspace/link")
    assert told == MANIFEST | {"head_commit": head}
    assert {"workspace/work.txt", "workspace/not-committed.txt", "workspace/.git/HEAD"} <= set(names)
    assert "workspace/pipe" not in names
    assert (link.issym(), link.size) == (True, 0)
    assert place.git.is_ancestor(place.repository.ref, place.commit, head)


def test_an_attempt_that_died_before_the_checksum_packs_again(place):
    place.open()
    archives = place.home / "archives"
    archives.mkdir()
    (archives / f"{ONE}.tar.gz").write_bytes(b"half")
    archive = place.files.archive(ONE, place.repository, MANIFEST)
    assert tarfile.is_tarfile(archive.path)


def test_an_attempt_that_died_before_the_removal_only_removes(place):
    directory = place.open()
    first = place.files.archive(ONE, place.repository, MANIFEST)
    stamp = first.path.stat().st_mtime_ns
    place.git.add_worktree(place.repository.ref, "ws/1", place.commit, directory)
    assert place.files.archive(ONE, place.repository, MANIFEST) == first
    assert first.path.stat().st_mtime_ns == stamp
    assert not directory.exists()


def test_a_workspace_that_came_back_after_it_was_packed_is_packed_anew_and_the_old_archive_stays(place):
    place.open()
    old = place.files.archive(ONE, place.repository, MANIFEST)
    before = old.path.read_bytes()
    directory = place.open()
    (directory / "later.txt").write_text("made since\n")
    new = place.files.archive(ONE, place.repository, MANIFEST)
    with tarfile.open(new.path) as packed:
        assert "workspace/later.txt" in packed.getnames()
    [aside] = [path for path in new.path.parent.glob("*.tar.gz") if path != new.path]
    assert aside.read_bytes() == before


def test_half_a_repository_is_not_taken_for_a_workspace_that_is_there(place):
    directory = place.open()
    shutil.rmtree(directory / ".git" / "objects")
    with pytest.raises(ActionFailed, match="no whole repository; move it away"):
        place.open()


def test_a_workspace_that_was_removed_by_hand_cannot_be_packed(place):
    with pytest.raises(ActionFailed, match="is gone and was not archived"):
        place.files.archive(ONE, place.repository, MANIFEST)


def test_a_suite_runs_in_a_fresh_export_that_is_removed(place):
    ran = place.suite(f"{WRITE}; pwd; ls; env | grep ^DCT_ | sort")
    assert (ran.process.exit_code, tally(ran.reports).tests) == (0, 1)
    assert "a.txt" in place.log
    assert f"DCT_COMMIT={place.commit}" in place.log
    assert "DCT_SUITE=unit" in place.log
    assert not list((place.home / "scratch").iterdir())


def test_a_suite_runs_in_a_workspace(place):
    directory = place.open()
    ran = place.suite(f"{WRITE}; test -e .git", {"workspace_id": ONE})
    assert (ran.process.exit_code, len(ran.reports)) == (0, 1)
    assert (directory / "junit.xml").exists()
    with pytest.raises(ActionFailed, match="is gone"):
        place.suite("true", {"workspace_id": UUID(int=2)})


def test_a_suite_runs_in_the_live_release_of_an_environment(place):
    release = place.releases.directory("qa", place.commit, "k0")
    release.mkdir(parents=True)
    (release / "built.txt").touch()
    place.releases.mark_done(release, place.commit)
    place.releases.activate("qa", release)
    ran = place.suite("test -e built.txt && echo $DCT_ENVIRONMENT", {"environment": "qa"})
    assert ran.process.exit_code == 0
    assert "qa" in place.log


def test_what_is_live_but_not_on_record_is_not_tested_under_the_wrong_commit(place):
    release = place.releases.directory("qa", "b" * 40, "k0")
    release.mkdir(parents=True)
    place.releases.mark_done(release, "b" * 40)
    place.releases.activate("qa", release)
    with pytest.raises(ActionInterrupted, match="between two deployments"):
        place.suite("true", {"environment": "qa"})


def test_an_environment_of_another_system_is_tested_from_a_fresh_export(place):
    assert place.suite("test -e a.txt", {"environment": "far"}).process.exit_code == 0


def test_a_report_of_an_earlier_run_does_not_count(place):
    directory = place.open()
    (directory / "junit.xml").write_text(REPORT)
    assert place.suite("true", {"workspace_id": ONE}).reports == ()
    assert len(place.suite(WRITE, {"workspace_id": ONE}).reports) == 1


def test_reports_are_found_below_and_links_are_not_followed(place, tmp_path):
    outside = tmp_path / "secret.xml"
    outside.write_text("<secret/>")
    links = f"ln -s {outside} junit-2.xml; ln -s / junit-d"
    script = f"mkdir -p out/deep && cp /dev/null out/deep/junit-1.xml && {links}"
    ran = place.suite(script, junit="**/junit*.xml")
    assert ran.reports == (b"",)


@pytest.mark.parametrize("pattern", ["/etc/*.xml", "../*.xml", "a/../../*.xml"])
def test_a_pattern_that_leads_out_is_refused(place, pattern):
    with pytest.raises(ActionFailed, match="must stay within"):
        place.suite("true", junit=pattern)


def test_a_suite_that_hangs_and_forks_is_ended_with_all_it_started(place):
    pids = place.home / "pids"
    script = f"sleep 300 & echo $! >> {pids}; setsid sleep 301 & echo $! >> {pids}; wait"
    ran = place.suite(script, limits=ProcessLimits(timeout_seconds=1).model_dump())
    assert (ran.process.timed_out, ran.process.killed) == (True, True)
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    assert not any(psutil.pid_exists(pid) for pid in started)


def test_a_suite_that_floods_keeps_a_bounded_rest(place):
    ran = place.suite("head -c 30000000 /dev/zero | tr '\\0' x", limits={"output_limit_kb": 10})
    assert ran.process.stdout_truncated
    assert len(ran.process.stdout) < 20_000
    assert ran.process.stdout_bytes == 30_000_000


def test_secrets_are_not_repeated_in_the_log(place):
    place.suite('echo "token $TOKEN"', secrets={"TOKEN": "env:TOKEN"})
    assert "token [TOKEN]" in place.log


def test_an_isolated_suite_can_work_in_a_workspace_that_is_then_archived(tmp_path):
    for step in (tmp_path, *list(tmp_path.parents)[:2]):
        step.chmod(0o755)
    isolated = Place(tmp_path, IsolationMode.AUTO)
    directory = isolated.open()
    assert isolated.suite(f"{WRITE}; echo x > new.txt", {"workspace_id": ONE}).process.exit_code == 0
    assert len(isolated.suite(WRITE).reports) == 1
    isolated.files.write(ONE, [BundleFile(".dct/context.md", "x")])
    assert isolated.git.collect_worktree(isolated.repository.ref, "ws/1", directory) == isolated.commit
    isolated.files.archive(ONE, isolated.repository, MANIFEST)
    assert not directory.exists()
