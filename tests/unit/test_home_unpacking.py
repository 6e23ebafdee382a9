"""Files of a backup that come back into a home: never through a link, and taken away when the rest fails."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from uuid import UUID

import pytest

from dct_pipelines.clients.backup_file import BackupFile, writing
from dct_pipelines.clients.home_files import LeftOut
from dct_pipelines.clients.home_unpacking import Unpacking, unpacking
from dct_pipelines.domain.errors import BackupUnusable
from tests.unit.test_backup_file import manifest

FOREIGN = "workspaces/w/.dct"


def backup(tmp_path: Path, *names: str) -> BackupFile:
    """A backup with these files, each of which holds its own name."""
    with writing(tmp_path / "b", UUID(int=7)) as writer:
        for name in names:
            writer.add(f"home/{name}", [name.encode()])
        writer.finish(manifest(writer.files, LeftOut()))
    return BackupFile(tmp_path / "b")


def restored(file: BackupFile, home: Path) -> Unpacking:
    with file.home_unpacked(home, file.verify()) as unpacked:
        return unpacked


def swap(directory: Path, outside: Path) -> None:
    """Put a link in its place, as whoever works in a workspace can."""
    if directory.exists():
        directory.rename(outside.with_name("before"))
    directory.symlink_to(outside)


def told_to_end() -> None:
    raise SystemExit(143)


def everything(home: Path) -> list[str]:
    return sorted(str(path.relative_to(home)) for path in home.rglob("*"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """One with the context of a workspace, to which everybody who works there can write."""
    (tmp_path / "home" / FOREIGN).mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    made = tmp_path / "outside"
    made.mkdir()
    (made / "known").write_text("untouched")
    return made


@pytest.mark.parametrize("link", [f"{FOREIGN}/x", FOREIGN, "workspaces/w"])
def test_a_link_on_the_way_is_not_followed_and_the_file_counts_as_kept(
    home: Path, outside: Path, tmp_path: Path, link: str
):
    name = f"{FOREIGN}/x/authorized_keys"
    swap(home / link, outside)
    unpacked = restored(backup(tmp_path, name, "sent/one"), home)
    assert (unpacked.written, unpacked.kept) == (["sent/one"], [name])
    assert everything(outside) == ["known"]


@pytest.mark.parametrize("draft", [".new-notes.md", "notes.md"])
@pytest.mark.parametrize("target", ["known", "nowhere"])
def test_a_link_in_the_place_of_a_file_or_its_draft_overwrites_and_makes_nothing(
    home: Path, outside: Path, tmp_path: Path, draft: str, target: str
):
    (home / FOREIGN / draft).symlink_to(outside / target)
    restored(backup(tmp_path, f"{FOREIGN}/notes.md"), home)
    assert everything(outside) == ["known"]
    assert (outside / "known").read_text() == "untouched"
    assert (home / FOREIGN / draft).is_symlink()


def test_a_file_where_the_backup_has_a_directory_stays(home: Path, tmp_path: Path):
    (home / FOREIGN / "x").write_text("mine")
    unpacked = restored(backup(tmp_path, f"{FOREIGN}/x/notes.md"), home)
    assert (unpacked.kept, (home / FOREIGN / "x").read_text()) == ([f"{FOREIGN}/x/notes.md"], "mine")


def test_a_home_may_itself_be_reached_by_a_link(home: Path, tmp_path: Path):
    (tmp_path / "link").symlink_to(home)
    assert restored(backup(tmp_path, "sent/one"), tmp_path / "link").written == ["sent/one"]
    assert (home / "sent/one").read_bytes() == b"sent/one"


def test_what_was_written_goes_when_the_rest_fails_and_what_was_there_stays(home: Path, tmp_path: Path):
    (home / "sent").mkdir()
    (home / "sent/one").write_text("newer")
    before = everything(home)
    file = backup(tmp_path, "sent/one", "sent/two", "archives/deep/a.tar.gz", f"{FOREIGN}/notes.md")
    with pytest.raises(SystemExit), file.home_unpacked(home, file.verify()):
        told_to_end()
    assert everything(home) == before
    assert (home / "sent/one").read_text() == "newer"


def test_what_was_written_goes_when_a_later_file_cannot_be_read(home: Path, tmp_path: Path):
    before = everything(home)
    file = backup(tmp_path, "sent/one", "sent/two")
    whole = file.verify()
    header, named, held = file.path.read_bytes().split(b"sent/two", maxsplit=2)
    file.path.write_bytes(b"sent/two".join((header, named)) + b"sent/TWO" + held)
    with pytest.raises(BackupUnusable, match="damaged"), file.home_unpacked(home, whole):
        pass
    assert everything(home) == before


def test_a_link_that_comes_meanwhile_does_not_lead_the_removal_astray(
    home: Path, outside: Path, tmp_path: Path
):
    with unpacking(home) as unpacked:
        unpacked.put(PurePosixPath(FOREIGN, "x/known"), [b"x"])
        swap(home / FOREIGN / "x", outside)
        unpacked.undo()
    assert everything(outside) == ["known"]


def test_a_name_that_leads_out_of_the_home_is_refused(home: Path, tmp_path: Path):
    for name in ("../x", "/etc/x", ""):
        (tmp_path / "b").unlink(missing_ok=True)
        with pytest.raises(BackupUnusable, match="leads out of the home"):
            restored(backup(tmp_path, name), home)
    assert everything(home) == ["workspaces", "workspaces/w", FOREIGN]


def test_messages_come_back_beside_the_outbox_but_for_those_that_still_lie_in_it(home: Path, tmp_path: Path):
    (home / "outbox").mkdir()
    (home / "outbox/unread.json").write_text("mine")
    file = backup(tmp_path, "outbox/unread.json", "outbox/handled.json", "outbox.restored/older.json")
    unpacked = restored(file, home)
    assert unpacked.written == ["outbox.restored/handled.json", "outbox.restored/older.json"]
    assert unpacked.kept == ["outbox/unread.json"]
    assert [path.name for path in (home / "outbox").iterdir()] == ["unread.json"]


def test_messages_come_back_beside_an_outbox_that_is_a_link(home: Path, outside: Path, tmp_path: Path):
    (home / "outbox").symlink_to(outside)
    assert restored(backup(tmp_path, "outbox/one.json"), home).written == ["outbox.restored/one.json"]
    assert everything(outside) == ["known"]
