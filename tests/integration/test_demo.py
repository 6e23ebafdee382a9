"""What the demo lays out, without running it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dct_pipelines.cli.demo.stage import build_stage
from dct_pipelines.clients.processes import Processes
from dct_pipelines.domain.errors import InvalidInput
from tests.support.repos import SampleRepository, git

pytestmark = pytest.mark.integration


def test_a_copy_of_ones_own_repository_gets_a_qa_branch_and_the_original_none(tmp_path: Path):
    mine = SampleRepository.create(tmp_path / "mine.git", default_branch="trunk")
    mine.commit("trunk", {"README": "hello\n"})
    stage = build_stage(tmp_path / "demo", Processes(tmp_path), str(mine.path))
    assert git("branch", "--format=%(refname:short)", cwd=stage.repository).split() == ["qa", "trunk"]
    assert git("branch", "--format=%(refname:short)", cwd=mine.path).split() == ["trunk"]


def test_what_looks_like_an_option_is_the_name_of_a_repository_that_is_not_there(tmp_path: Path):
    with pytest.raises(InvalidInput, match="repository '--upload-pack=touch gotcha' does not exist"):
        build_stage(tmp_path / "demo", Processes(tmp_path), "--upload-pack=touch gotcha")


def test_a_repository_without_a_commit_is_refused_in_words(tmp_path: Path):
    empty = SampleRepository.create(tmp_path / "empty.git")
    with pytest.raises(InvalidInput, match="has no commit on its default branch main"):
        build_stage(tmp_path / "demo", Processes(tmp_path), str(empty.path))
