"""Code comes back to a workspace that has lost it beside what is there, and without it nothing is done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dct_pipelines.domain.errors import ActionFailed, ItemUnreadable
from tests.integration.test_workspaces import MANIFEST, ONE, WRITE, Place
from tests.support.repos import git

pytestmark = pytest.mark.integration


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_code_that_comes_back_follows_no_link_in_what_is_there(place: Place, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    directory = place.files.directory_for(ONE)
    directory.mkdir(parents=True)
    (directory / "sub").symlink_to(outside)
    (directory / "a.txt").symlink_to(outside / "a.txt")
    place.open()
    assert list(outside.iterdir()) == []
    assert (directory / "sub").is_symlink()
    assert git("symbolic-ref", "HEAD", cwd=directory) == "refs/heads/ws/1"


def test_a_link_in_the_place_of_a_workspace_is_no_workspace(place: Place, tmp_path: Path):
    (tmp_path / "outside").mkdir()
    place.files.directory_for(ONE).parent.mkdir(parents=True)
    place.files.directory_for(ONE).symlink_to(tmp_path / "outside")
    with pytest.raises(ActionFailed, match="is a link or a file"):
        place.open()
    assert list((tmp_path / "outside").iterdir()) == []


def test_code_comes_back_after_an_attempt_that_was_killed_in_the_middle(place: Place):
    """The repository is moved in last: as long as it is not there, nothing else counts."""
    directory = place.open()
    (directory / ".git").rename(directory / "half")
    (directory / "sub/b.txt").unlink()
    place.open()
    assert (directory / "sub/b.txt").read_text() == "1\n"
    assert git("status", "--porcelain", "--untracked-files=no", cwd=directory) == ""


def test_without_code_no_suite_is_run_and_it_is_said_what_brings_it_back(place: Place):
    directory = place.open()
    shutil.rmtree(directory / ".git")
    with pytest.raises(ActionFailed, match="`dct restore workspace` brings it back"):
        place.suite(WRITE, {"workspace_id": ONE})
    assert not (directory / "junit.xml").exists()


def test_without_code_nothing_is_packed_and_nothing_removed(place: Place):
    directory = place.open()
    shutil.rmtree(directory / ".git")
    with pytest.raises(ItemUnreadable, match="`dct restore workspace` brings it back"):
        place.files.archive(ONE, place.repository, MANIFEST)
    assert (directory / "a.txt").exists()
