"""Hostile repositories: nothing that they name runs, and nothing of theirs is believed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dct_pipelines.clients.git import GitClient
from dct_pipelines.clients.processes import Processes
from dct_pipelines.domain.errors import ItemUnreadable
from dct_pipelines.domain.git import PushStatus, RefUpdate, RepositoryRef
from dct_pipelines.domain.git_refs import Oid
from tests.support.repos import SampleRepository, git


@pytest.fixture
def origin(tmp_path: Path) -> SampleRepository:
    return SampleRepository.create(tmp_path / "origin.git")


@pytest.fixture
def client(tmp_path: Path) -> GitClient:
    return GitClient(tmp_path / "cache", Processes(tmp_path))


def _repo(origin: SampleRepository) -> RepositoryRef:
    return RepositoryRef(origin.url)


def _trap(folder: Path, name: str) -> Path:
    """A program that leaves a mark when it is run."""
    program = folder / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\ntouch {folder}/sprung-{program.name}\ncat >/dev/null\nexit 0\n")
    program.chmod(0o755)
    return program


def test_no_program_that_a_repository_names_is_ever_run(
    client: GitClient, origin: SampleRepository, tmp_path: Path
) -> None:
    traps = tmp_path / "traps"
    base = origin.commit("qa", {"a": "1\n", ".gitattributes": "* merge=trap filter=trap diff=trap\n"})
    ours = origin.commit("qa", {"a": "ours\n"})
    theirs = origin.commit("work", {"a": "theirs\n"}, parents=[base])
    other = origin.commit("other", {"b": "1\n"}, parents=[base])
    for hook in (
        "pre-receive",
        "update",
        "post-receive",
        "post-update",
        "reference-transaction",
        "proc-receive",
    ):
        _trap(traps, hook)
    for name, value in {
        "core.hooksPath": str(traps),
        "core.fsmonitor": str(_trap(traps, "fsmonitor")),
        "core.alternateRefsCommand": str(_trap(traps, "alternate")),
        "core.sshCommand": str(_trap(traps, "ssh")),
        "uploadpack.packObjectsHook": str(_trap(traps, "pack")),
        "merge.trap.driver": str(_trap(traps, "merge")),
        "filter.trap.smudge": str(_trap(traps, "smudge")),
        "filter.trap.clean": str(_trap(traps, "clean")),
        "diff.trap.command": str(_trap(traps, "diff")),
        "credential.helper": str(_trap(traps, "credential")),
        "receive.denyCurrentBranch": "updateInstead",
    }.items():
        git("config", name, value, cwd=origin.path)
    repo, place = _repo(origin), tmp_path / "place"
    client.list_refs(repo)
    client.fetch(repo, {"refs/heads/qa": ours, "refs/heads/work": theirs})
    assert client.merge_preview(repo, ours, theirs).conflicts == ("a",)
    assert (
        client.push(repo, {"refs/heads/new": RefUpdate(ours, None)})["refs/heads/new"].status
        is PushStatus.DONE
    )
    tree = client.merge_preview(repo, ours, other)
    assert tree.clean
    client.checkout_to(repo, ours, tmp_path / "out")
    client.add_worktree(repo, "ws", ours, place)
    git("config", "uploadpack.packObjectsHook", str(traps / "pack"), cwd=place)
    git("config", "core.fsmonitor", str(traps / "fsmonitor"), cwd=place)
    client.collect_worktree(repo, "ws", place)
    assert sorted(path.name for path in traps.glob("sprung-*")) == []


def test_the_configuration_around_us_and_of_the_user_is_not_obeyed(
    client: GitClient, origin: SampleRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = origin.commit("main", {"a": "1\n"})
    git("init", "-q", ".", cwd=tmp_path)
    rule = f'[url "/nowhere/"]\n\tinsteadOf = {origin.url}\n[broken'
    (tmp_path / ".git" / "config").write_text(rule)
    (tmp_path / ".gitconfig").write_text(rule)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.chdir(tmp_path)
    assert client.list_refs(_repo(origin)).branches == {"main": head}
    assert client.is_ancestor(_repo(origin), head, head)


def test_a_tree_that_would_write_into_dot_git_is_refused(
    client: GitClient, origin: SampleRepository, tmp_path: Path
) -> None:
    blob = git("hash-object", "-w", "--stdin", cwd=origin.path, stdin=b"evil")
    inner = git("mktree", cwd=origin.path, stdin=f"100755 blob {blob}\tpost-checkout\n".encode())
    tree = git("mktree", cwd=origin.path, stdin=f"040000 tree {inner}\t.git\n".encode())
    head = Oid(git("commit-tree", tree, "-m", "evil", cwd=origin.path))
    origin.branch("evil", head)
    with pytest.raises(ItemUnreadable, match="refuses for safety"):
        client.fetch(_repo(origin), {"refs/heads/evil": head})
    with pytest.raises(ItemUnreadable, match="refuses for safety"):
        client.checkout_to(_repo(origin), head, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_link_in_a_commit_stays_a_link_and_nothing_is_written_through_it(
    client: GitClient, origin: SampleRepository, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    blob = git("hash-object", "-w", "--stdin", cwd=origin.path, stdin=str(outside).encode())
    tree = git("mktree", cwd=origin.path, stdin=f"120000 blob {blob}\tlink\n".encode())
    head = Oid(git("commit-tree", tree, "-m", "link", cwd=origin.path))
    origin.branch("link", head)
    client.checkout_to(_repo(origin), head, tmp_path / "out")
    assert (tmp_path / "out" / "link").is_symlink()
    client.add_worktree(_repo(origin), "ws", head, tmp_path / "ws")
    client.remove_worktree(_repo(origin), tmp_path / "ws")
    assert outside.is_dir()


def test_dates_and_messages_that_nobody_could_have_meant(client: GitClient, origin: SampleRepository) -> None:
    tree = git("mktree", cwd=origin.path)
    huge = "x" * 3_000_000
    people = "author A <a@b> 99999999999 +0000\ncommitter A <a@b> 1 -9999"
    raw = f"tree {tree}\n{people}\n\n{huge}\n\n{huge}\n".encode()
    head = Oid(git("hash-object", "-w", "-t", "commit", "--stdin", cwd=origin.path, stdin=raw))
    origin.branch("main", head)
    client.fetch(_repo(origin), {"refs/heads/main": head})
    (commit,) = client.commits_between(_repo(origin), None, head).commits
    assert commit.authored_at == datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)
    assert commit.committed_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert (len(commit.subject), len(commit.body)) == (2000, 10_000)
