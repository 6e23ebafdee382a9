"""Hostile and broken repositories: nothing of theirs runs, nothing of theirs is believed, nothing is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dct_pipelines.clients.git import GitClient, GitLimits, failures
from dct_pipelines.clients.git.locations import locate
from dct_pipelines.clients.processes import Processes
from dct_pipelines.domain.errors import DiskFull, ItemTemporarilyUnreadable, ItemUnreadable
from dct_pipelines.domain.git import PushStatus, RefUpdate, RepositoryRef
from dct_pipelines.domain.git_refs import HEADS, Oid
from tests.support.repos import SampleRepository, git

BROKEN = "0" * 40


@pytest.fixture
def origin(tmp_path: Path) -> SampleRepository:
    return SampleRepository.create(tmp_path / "origin.git")


@pytest.fixture
def client(tmp_path: Path) -> GitClient:
    return GitClient(tmp_path / "cache", Processes(tmp_path))


def _repo(origin: SampleRepository) -> RepositoryRef:
    return RepositoryRef(origin.url)


def _copy(tmp_path: Path, origin: SampleRepository) -> Path:
    return tmp_path / "cache" / f"{locate(origin.url).key}.git"


def _trap(folder: Path, name: str) -> Path:
    """A program that leaves a mark when it is run."""
    program = folder / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\ntouch {folder}/sprung-{program.name}\ncat >/dev/null\nexit 0\n")
    program.chmod(0o755)
    return program


# ---------------------------------------------------------------- nothing of theirs runs


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
    assert (len(commit.subject), len(commit.body)) == (500, 10_000)


# ---------------------------------------------------------------- broken repositories


def test_broken_references_are_named_and_do_not_hide_the_others(
    client: GitClient, origin: SampleRepository
) -> None:
    head = origin.commit("main", {"a": "1\n"})
    (origin.path / "refs" / "heads" / "torn").write_text("garbage\n")
    with (origin.path / "packed-refs").open("a") as packed:
        packed.write(f"{head} refs/heads/x..y\n")
    seen = client.list_refs(_repo(origin))
    assert seen.branches == {"main": head}
    assert {(ref.name, ref.reason) for ref in seen.rejected} == {
        ("refs/heads/torn", "it is broken: it points to nothing"),
        ("refs/heads/x..y", "it contains '..'"),
    }
    with pytest.raises(ItemUnreadable, match=r"refs/heads/torn in .* is broken"):
        client.resolve(_repo(origin), "refs/heads/torn")


@pytest.mark.parametrize(
    "damage", ["no HEAD", "empty HEAD", "no objects", "no refs", "torn packed-refs", "a file"]
)
def test_a_damaged_repository_is_an_error_and_never_empty(
    client: GitClient, origin: SampleRepository, damage: str
) -> None:
    head = origin.commit("main", {"a": "1\n"})
    origin.branches([("packed", head)])
    match damage:
        case "no HEAD":
            (origin.path / "HEAD").unlink()
        case "empty HEAD":
            (origin.path / "HEAD").write_text("")
        case "no objects":
            shutil.rmtree(origin.path / "objects")
        case "no refs":
            shutil.rmtree(origin.path / "refs")
        case "torn packed-refs":
            (origin.path / "packed-refs").write_text(f"{head[:20]}")
        case "a file":
            shutil.rmtree(origin.path)
            origin.path.write_text("not a directory")
    with pytest.raises(ItemUnreadable, match=r"check its path|is damaged; run `git fsck`"):
        client.list_refs(_repo(origin))


def test_lost_objects_at_the_origin_are_its_damage_and_not_ours(
    client: GitClient, origin: SampleRepository
) -> None:
    base = origin.commit("main", {"a": "1\n"})
    client.fetch(_repo(origin), {"refs/heads/main": base})
    head = origin.commit("main", {"a": "2\n"})
    git("repack", "-adq", cwd=origin.path)
    for pack in (origin.path / "objects" / "pack").iterdir():
        pack.unlink()
    with pytest.raises(ItemUnreadable) as raised:
        client.is_ancestor(_repo(origin), base, head)
    assert "no longer has" in str(raised.value) or "damaged" in str(raised.value)
    assert client.is_ancestor(_repo(origin), base, base)


def test_a_branch_that_is_checked_out_there_is_refused_with_advice(client: GitClient, tmp_path: Path) -> None:
    place = tmp_path / "checkout"
    place.mkdir()
    git("init", "-q", "--initial-branch=qa", ".", cwd=place)
    git("commit", "-q", "--allow-empty", "-m", "One", cwd=place)
    git("commit", "-q", "--allow-empty", "-m", "Two", cwd=place)
    head = Oid(git("rev-parse", "HEAD", cwd=place))
    base = Oid(git("rev-parse", "HEAD~", cwd=place))
    repo = RepositoryRef(str(place))
    told = client.push(repo, {"refs/heads/qa": RefUpdate(base, head)})["refs/heads/qa"]
    assert told.status is PushStatus.REJECTED
    assert "push to a bare repository" in told.reason
    assert git("rev-parse", "qa", cwd=place) == head


def test_a_folder_of_another_user_can_be_read(client: GitClient, origin: SampleRepository) -> None:
    head = origin.commit("main", {"a": "1\n"})
    if os.geteuid() == 0:
        for path in [origin.path, *origin.path.rglob("*")]:
            os.chown(path, 65534, 65534)
    assert client.list_refs(_repo(origin)).branches == {"main": head}
    assert client.fetch(_repo(origin), {"refs/heads/main": head}) == frozenset()


def test_a_shallow_repository_can_be_read(
    client: GitClient, origin: SampleRepository, tmp_path: Path
) -> None:
    origin.commit("main", {"a": "1\n"})
    head = origin.commit("main", {"a": "2\n"})
    git(
        "clone",
        "-q",
        "--bare",
        "--depth=1",
        f"file://{origin.path}",
        str(tmp_path / "shallow.git"),
        cwd=tmp_path,
    )
    repo = RepositoryRef(str(tmp_path / "shallow.git"))
    assert [commit.oid for commit in client.commits_between(repo, None, head).commits] == [head]


# ---------------------------------------------------------------- our own copy


@pytest.mark.parametrize("damage", ["torn pack", "no HEAD", "no objects", "gone", "empty config"])
def test_a_damaged_copy_is_replaced_without_anybody_noticing(
    client: GitClient, origin: SampleRepository, tmp_path: Path, damage: str
) -> None:
    base = origin.commit("main", {"a": "1\n"})
    head = origin.commit("main", {"a": "2\n"})
    client.fetch(_repo(origin), {"refs/heads/main": head})
    copy = _copy(tmp_path, origin)
    match damage:
        case "torn pack":
            for pack in (copy / "objects" / "pack").glob("*.pack"):
                pack.chmod(0o644)
                pack.write_bytes(pack.read_bytes()[:20])
        case "no HEAD":
            (copy / "HEAD").unlink()
        case "no objects":
            shutil.rmtree(copy / "objects")
        case "gone":
            shutil.rmtree(copy)
        case "empty config":
            (copy / "config").write_text("[core")
    assert client.is_ancestor(_repo(origin), base, head)
    assert client.merge_preview(_repo(origin), base, head).clean
    assert not list((tmp_path / "cache").glob("*.trash-*"))


def test_lock_files_that_a_killed_git_left_behind_are_removed(
    client: GitClient, origin: SampleRepository, tmp_path: Path
) -> None:
    one = origin.commit("main", {"a": "1\n"})
    client.fetch(_repo(origin), {"refs/heads/main": one})
    copy = _copy(tmp_path, origin)
    (seen,) = (copy / "refs" / "dct" / "seen").iterdir()
    seen.with_name(f"{seen.name}.lock").touch()
    (copy / "packed-refs.lock").touch()
    two = origin.commit("main", {"a": "2\n"})
    assert client.fetch(_repo(origin), {"refs/heads/main": two}) == frozenset()
    assert not list(copy.rglob("*.lock"))


def test_many_small_fetches_are_tidied_and_lose_nothing(origin: SampleRepository, tmp_path: Path) -> None:
    client = GitClient(tmp_path / "cache", Processes(tmp_path), GitLimits(packs_before_tidying=4))
    base = origin.commit("main", {"a": "1\n"})
    heads = origin.commits_on_branches(base, [f"work/{number}" for number in range(9)])
    for name, head in heads.items():
        client.fetch(_repo(origin), {HEADS + name: head})
    packs = list((_copy(tmp_path, origin) / "objects" / "pack").glob("*.pack"))
    assert len(packs) < 6
    shutil.rmtree(origin.path)
    assert all(client.is_ancestor(_repo(origin), base, head) for head in heads.values())


def test_two_processes_share_a_copy(client: GitClient, origin: SampleRepository, tmp_path: Path) -> None:
    base = origin.commit("main", {"a": "1\n"})
    heads = origin.commits_on_branches(base, [f"work/{number}" for number in range(12)])
    others = [GitClient(tmp_path / "cache", Processes(tmp_path)) for _ in range(3)]

    def work(turn: int) -> bool:
        name, head = list(heads.items())[turn % 12]
        mine = [client, *others][turn % 4]
        return not mine.fetch(_repo(origin), {HEADS + name: head}) and mine.is_ancestor(
            _repo(origin), base, head
        )

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(24)))


def test_a_process_killed_while_fetching_does_not_stop_the_next(
    client: GitClient, origin: SampleRepository, tmp_path: Path
) -> None:
    base = origin.commit("main", {"a": "1\n"})
    heads = origin.commits_on_branches(
        base, [f"work/{number}" for number in range(200)], content="y" * 20_000
    )
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from dct_pipelines.clients.git import GitClient
        from dct_pipelines.clients.processes import Processes
        from dct_pipelines.domain.git import RepositoryRef
        heads = dict(line.split() for line in sys.stdin)
        print("ready", flush=True)
        client = GitClient(Path({str(tmp_path / "cache")!r}), Processes(Path({str(tmp_path)!r})))
        wanted = {{"refs/heads/" + name: oid for name, oid in heads.items()}}
        client.fetch(RepositoryRef({origin.url!r}), wanted)
    """)
    listing = "".join(f"{name} {head}\n" for name, head in heads.items()).encode()
    for pause_seconds in (0.0, 0.015, 0.03, 0.06):
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as doomed:
            assert doomed.stdin
            assert doomed.stdout
            doomed.stdin.write(listing)
            doomed.stdin.close()
            doomed.stdout.readline()
            time.sleep(pause_seconds)  # the kill has to fall into different moments of the fetch
            doomed.send_signal(signal.SIGKILL)
        wanted = {HEADS + name: head for name, head in heads.items()}
        assert client.fetch(_repo(origin), wanted) == frozenset()
        copy = _copy(tmp_path, origin)
        git("fsck", "--connectivity-only", "--no-dangling", cwd=copy)
        assert client.is_ancestor(_repo(origin), base, heads["work/199"])


def test_a_draft_of_a_killed_checkout_is_swept_out(
    client: GitClient, origin: SampleRepository, tmp_path: Path
) -> None:
    head = origin.commit("main", {"a": "1\n"})
    left_over = tmp_path / "deploys" / ".qa.draft-0123"
    left_over.mkdir(parents=True)
    (left_over / "half").write_text("x")
    client.checkout_to(_repo(origin), head, tmp_path / "deploys" / "qa")
    assert [path.name for path in (tmp_path / "deploys").iterdir()] == ["qa"]


def test_a_full_disk_is_said_as_such() -> None:
    said = "fatal: write error: No space left on device"
    assert isinstance(failures.explain_local(said), DiskFull)
    assert failures.explain_local(said).transient is True  # type: ignore[attr-defined]


# ---------------------------------------------------------------- scale


def test_ten_thousand_references_cost_one_call_and_little_time(
    client: GitClient, origin: SampleRepository
) -> None:
    head = origin.commit("main", {"a": "1\n"})
    origin.branches([(f"feature/some-longer-name-{number}", head) for number in range(10_000)])
    before = os.times()
    snapshot = client.list_refs(_repo(origin))
    assert snapshot.digest
    after = os.times()
    spent = sum(after[:4]) - sum(before[:4])
    assert spent < 0.5, f"{spent:.2f} CPU-s; about 0.05 where this was written"
    assert len(snapshot.branches) == 10_001


# ---------------------------------------------------------------- working directories


def test_a_workspace_that_another_user_worked_in_is_collected_with_that_users_eyes(
    origin: SampleRepository, tmp_path: Path
) -> None:
    private = SampleRepository.create(tmp_path / "private.git")
    with tempfile.TemporaryDirectory(prefix="dct-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        client = GitClient(folder / "cache", Processes(folder))
        start = origin.commit("main", {"a": "1\n"})
        secret = private.commit("main", {"s": "1\n"})
        client.fetch(_repo(private), {"refs/heads/main": secret})
        (folder / "cache").chmod(0o700)
        place = folder / "place"
        client.add_worktree(_repo(origin), "ws", start, place)
        for path in [place, *place.rglob("*")] if os.geteuid() == 0 else []:
            os.chown(path, 65534, 65534)
        assert client.collect_worktree(_repo(origin), "ws", place) == start
        copy = _copy(folder, private)
        (place / ".git" / "objects" / "info").mkdir(exist_ok=True)
        (place / ".git" / "objects" / "info" / "alternates").write_text(f"{copy}/objects\n")
        (place / ".git" / "refs" / "heads" / "ws").write_text(f"{secret}\n")
        if os.geteuid() == 0:
            with pytest.raises(ItemTemporarilyUnreadable, match="could not be collected"):
                client.collect_worktree(_repo(origin), "ws", place)


def test_a_workspace_keeps_its_history_when_the_cache_is_thrown_away(
    client: GitClient, origin: SampleRepository, tmp_path: Path
) -> None:
    origin.commit("main", {"a": "1\n"})
    head = origin.commit("main", {"a": "2\n"})
    client.add_worktree(_repo(origin), "ws", head, tmp_path / "ws")
    shutil.rmtree(tmp_path / "cache")
    assert git("rev-list", "--count", "HEAD", cwd=tmp_path / "ws") == "2"
    assert git("status", "--porcelain", cwd=tmp_path / "ws") == ""
    assert git("remote", "get-url", "origin", cwd=tmp_path / "ws") == origin.url


def test_a_workspace_that_is_gone_cannot_be_collected(
    client: GitClient, origin: SampleRepository, tmp_path: Path
) -> None:
    with pytest.raises(ItemUnreadable, match="is gone"):
        client.collect_worktree(_repo(origin), "ws", tmp_path / "nowhere")
