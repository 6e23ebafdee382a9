"""Our own copies and working directories: shared, killed, damaged, and none the worse for it."""

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
from pathlib import Path

import pytest

from dct_pipelines.clients.git import GitClient, GitLimits, failures
from dct_pipelines.clients.git.locations import locate
from dct_pipelines.clients.processes import Processes
from dct_pipelines.domain.errors import DiskFull, ItemTemporarilyUnreadable, ItemUnreadable
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.git_refs import HEADS
from tests.support.repos import SampleRepository, git


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


def test_a_full_disk_is_said_as_such(tmp_path: Path) -> None:
    said = "fatal: write error: No space left on device"
    assert isinstance(failures.explain_local(said, tmp_path), DiskFull)
    assert failures.explain_local(said, tmp_path).transient is True  # type: ignore[attr-defined]


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
