"""The file of a backup: what an agent leaves does not prevent one, and what is written can be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from uuid import UUID

import pytest

from dct_pipelines.clients.backup_file import BackupFile, writing
from dct_pipelines.clients.home_files import MOST_NAMED, HomeFile, LeftOut, files_of_home
from dct_pipelines.domain.backups import FORMAT, FilePrint, Manifest
from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.store.embedded.account import Account
from tests.support.postgres import *  # noqa: F403

ID = UUID(int=7)
DEEP = "d" * 200
STRANGE = b"caf\xe9.md"


def manifest(files: dict[str, FilePrint], left_out: LeftOut) -> Manifest:
    return Manifest(
        format=FORMAT,
        id=ID,
        as_of=datetime(2026, 1, 1, tzinfo=UTC),
        release="1",
        revision="1",
        postgres=18,
        schemas=(),
        tables={},
        files=files,
        left_out=left_out.count,
        left_out_because=left_out.named,
    )


def packed(home: Path, path: Path) -> Manifest:
    """What the manifest of a backup of this home says, once all of it has been verified."""
    with writing(path, ID) as writer:
        left_out = writer.add_home(home)
        writer.finish(manifest(writer.files, left_out))
    return BackupFile(path).verify()


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """The context of an open workspace, with one file in it."""
    made = tmp_path / "home/workspaces/w/.dct"
    made.mkdir(parents=True)
    (made / "context.json").write_text("{}")
    return made


def seen(path: Path) -> HomeFile:
    return HomeFile(path.parent, PurePosixPath(path.name), is_foreign=False)


KEPT = ["home/workspaces/w/.dct/context.json"]


def test_a_name_that_is_no_utf8_is_left_out_and_named(context: Path, tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(context) + b"/" + STRANGE))).write_text("x")
    folder = Path(os.fsdecode(os.fsencode(context) + b"/\xff"))
    folder.mkdir()
    (folder / "x").write_text("x")
    made = packed(tmp_path / "home", tmp_path / "b")
    assert list(made.files) == KEPT
    assert made.left_out == 2
    assert made.left_out_because == {
        "home/workspaces/w/.dct/caf\\xe9.md": "its name is no UTF-8",
        "home/workspaces/w/.dct/\\xff/x": "its name is no UTF-8",
    }


def nested(directory: Path, levels: int) -> None:
    """Directories within each other, deeper than any path may be long."""
    here = os.open(directory, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(DEEP, dir_fd=here)
        inner = os.open(DEEP, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_a_directory_that_cannot_be_read_is_left_out_and_named_and_an_error_elsewhere(
    context: Path, tmp_path: Path
) -> None:
    nested(context, 25)
    made = packed(tmp_path / "home", tmp_path / "b")
    assert (list(made.files), made.left_out) == (KEPT, 1)
    [why] = made.left_out_because.values()
    assert why == "it cannot be read: File name too long"
    (tmp_path / "home/outbox").mkdir()
    nested(tmp_path / "home/outbox", 25)
    with pytest.raises(InvalidInput, match=f"home/outbox/{DEEP}"):
        packed(tmp_path / "home", tmp_path / "c")
    assert not (tmp_path / "c").exists()


@contextmanager
def nobody_special() -> Iterator[None]:
    """Root reads everything; for the block it is somebody who does not."""
    user = os.geteuid()
    os.seteuid(Account.for_this_process().uid)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("closed", ["a/file", "a", "."])
def test_what_is_closed_is_left_out_of_a_workspace_and_an_error_elsewhere(
    reachable_directory: Path, tmp_path: Path, closed: str
) -> None:
    home = reachable_directory / "home"
    for folder in ("archives", "workspaces/w/.dct"):
        (home / folder / "a").mkdir(parents=True)
        (home / folder / "a/file").write_text("x")
    (home / "workspaces/w/.dct" / closed).chmod(0)
    with writing(tmp_path / "b", ID) as writer:
        with nobody_special():
            left_out = writer.add_home(home)
        assert list(writer.files) == ["home/archives/a/file"]
        assert (left_out.count, "Permission denied" in next(iter(left_out.named.values()))) == (1, True)
        (home / "archives" / closed).chmod(0)
        with (
            nobody_special(),
            pytest.raises(InvalidInput, match=r"archives.* cannot be read .Permission denied"),
        ):
            writer.add_home(home)
    for place in home.rglob("*"):
        place.chmod(0o700)


def test_a_file_whose_content_cannot_be_read_is_no_half_part_of_the_backup(tmp_path: Path) -> None:
    with writing(tmp_path / "b", ID) as writer:
        with pytest.raises(InvalidInput, match=r"/proc/self/mem cannot be read .Input/output error"):
            writer.add_file(seen(Path("/proc/self/mem")))
        assert writer.add_file(seen(Path(__file__)))
        assert not writer.add_file(seen(tmp_path))
        writer.finish(manifest(writer.files, LeftOut()))
    assert list(BackupFile(tmp_path / "b").verify().files) == [f"home/{Path(__file__).name}"]


@pytest.mark.parametrize("place", ["w/.dct/deep", "w/.dct", "w"])
def test_a_directory_that_became_a_link_after_it_was_listed_is_left_out_and_not_followed(
    context: Path, tmp_path: Path, place: str
) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    for folder in (context / "deep", outside, outside / "deep", outside / ".dct/deep"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "secrets").write_text("TOKEN=hidden")
    [one] = [one for one in files_of_home(home, LeftOut()) if one.inside.name == "secrets"]
    swapped = home / "workspaces" / place
    swapped.rename(tmp_path / "before")
    swapped.symlink_to(outside)
    with writing(tmp_path / "b", ID) as writer:
        with pytest.raises(InvalidInput, match=f"in the place of '{swapped.name}' now"):
            writer.add_file(one)
        left_out = LeftOut()
        writer.add_seen([one], left_out)
        writer.finish(manifest(writer.files, left_out))
    assert BackupFile(tmp_path / "b").verify().files == {}
    assert list(left_out.named) == ["home/workspaces/w/.dct/deep/secrets"]
    assert b"hidden" not in (tmp_path / "b").read_bytes()


def test_of_very_many_things_that_are_left_out_the_first_are_named() -> None:
    left_out = LeftOut()
    for number in range(3 * MOST_NAMED):
        left_out.add(f"home/workspaces/w/.dct/{number}", "no")
    assert (left_out.count, len(left_out.named)) == (3 * MOST_NAMED, MOST_NAMED)


def many(count: int) -> dict[str, FilePrint]:
    one = FilePrint(bytes=66, sha256="a" * 64)
    return {f"home/sent/{number:064x}": one for number in range(count)}


def test_a_backup_of_very_many_files_is_read_again(tmp_path: Path) -> None:
    with writing(tmp_path / "b", ID) as writer:
        writer.files.update(many(120_000))
        writer.finish(manifest(writer.files, LeftOut()))
    assert len(BackupFile(tmp_path / "b").manifest().files) == 120_000


def test_nobody_writes_a_backup_that_nobody_would_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot name .* are, 2000: 2000 of them lie in sent of the home"):
        too_many(tmp_path / "b")
    assert list(tmp_path.iterdir()) == []


def too_many(path: Path) -> None:
    with writing(path, ID) as writer:
        writer.largest_manifest_bytes = 100_000
        writer.files.update(many(2000))
        writer.finish(manifest(writer.files, LeftOut()))
