"""Pull requests whose source is a branch of another repository are told as such, by GitLab and Gitea."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.hosted import gitea, gitlab


@pytest.mark.parametrize("host", [gitlab, gitea], ids=["gitlab", "gitea"])
def test_a_request_from_a_fork_is_told_as_one_whatever_its_branch_is_called(host: Any) -> None:
    with host() as hosted:
        hosted.world.open("feature/a").is_from_fork = True
        hosted.world.open("feature/b")
        states = hosted.client.reader(hosted.location()).requests([1, 2]).states
    assert {state.number: state.is_from_fork for state in states} == {1: True, 2: False}
