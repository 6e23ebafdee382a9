"""Broken repositories: each is an error with advice, never an empty answer."""

from __future__ import annotations

import os
import shutil
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
