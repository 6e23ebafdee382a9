"""`merge_branches`: a merge commit of its own, once, and a conflict that names its files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dct_pipelines.actions.merge_branches import ACTION
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, ConnectionDown, InvalidInput
from dct_pipelines.domain.git import PushResult, RefUpdate, RepositoryRef
from dct_pipelines.domain.merging import TRIES
from dct_pipelines.domain.outcome import OutcomeStatus
from tests.fakes.git import FakeGit
from tests.fakes.ports import EXECUTION, action_context
from tests.fakes.shop import SHOP, Shop

ASKED: dict[str, Any] = {"repository": "shop", "source": "feature/pay", "target": "qa"}


@pytest.fixture
def shop() -> Shop:
    return Shop()


def test_the_source_is_merged_by_a_commit_that_says_whose_it_is(shop):
    outcome = shop.run(ACTION, **ASKED)
    head = shop.head("qa")
    commit = shop.git.objects.commits[head]
    assert outcome.status is OutcomeStatus.DONE
    assert outcome.outputs == {
        "commit": head,
        "source_commit": shop.feature,
        "target": "qa",
        "merged": True,
    }
    assert commit.parents == (shop.base, shop.feature)
    assert commit.subject == "Merge feature/pay into qa"
    assert f"Dct-Execution: {EXECUTION}" in commit.body
    assert shop.repository.files(head)["a.txt"] == "2\n"


def test_a_message_of_its_own_is_used(shop):
    shop.run(ACTION, **ASKED, message="PAY-7: ready")
    assert shop.git.objects.commits[shop.head("qa")].subject == "PAY-7: ready"


def test_what_is_contained_already_is_nothing_to_do(shop):
    shop.repository.branch("qa", shop.feature)
    outcome = shop.run(ACTION, **ASKED)
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO
    assert outcome.outputs["commit"] == shop.feature
    assert not outcome.outputs["merged"]


def test_the_write_is_announced_before_the_push(shop):
    class Watching(FakeGit):
        def push(self, repo: RepositoryRef, updates: Mapping[str, RefUpdate]) -> dict[str, PushResult]:
            announced.extend(shop.records.own_writes)
            return super().push(repo, updates)

    announced: list[object] = []
    watching = Watching(shop.git.objects, shop.git.repositories)
    shop.git = watching
    outcome = shop.run(ACTION, **ASKED)
    assert announced == [(SHOP, outcome.outputs["commit"])]


def test_an_attempt_that_died_before_the_push_made_the_same_commit(shop):
    shop.git.repositories[shop.repository.url].protected["qa"] = "the process dies here"
    with pytest.raises(ActionFailed):
        shop.run(ACTION, **ASKED)
    shop.repository.protected.clear()
    outcome = shop.again(ACTION, **ASKED)
    assert shop.records.own_writes == [(SHOP, outcome.outputs["commit"])] * 2


def test_an_attempt_that_died_after_the_push_is_recognised(shop):
    first = shop.run(ACTION, **ASKED)
    second = shop.again(ACTION, **ASKED)
    assert second.status is OutcomeStatus.DONE
    assert second.outputs == first.outputs
    assert shop.head("qa") == first.outputs["commit"]


def test_it_is_recognised_below_later_commits(shop):
    first = shop.run(ACTION, **ASKED)
    shop.repository.commit("qa", {"c.txt": "later\n"})
    assert shop.again(ACTION, **ASKED).outputs["commit"] == first.outputs["commit"]


def test_the_merge_of_another_execution_is_nothing_to_do(shop):
    shop.run(ACTION, **ASKED)
    other = action_context("other-step", started_before=True)
    outcome = ACTION.run(other, ACTION.config(**ASKED), shop.ports)
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO


def test_a_conflict_names_its_files_and_what_to_do(shop):
    shop.repository.commit("qa", {"a.txt": "3\n"})
    before = shop.state()
    with pytest.raises(ActionFailed) as caught:
        shop.run(ACTION, **ASKED)
    assert "conflicts in a.txt" in str(caught.value)
    assert "merge qa into feature/pay, resolve, and push" in str(caught.value)
    assert not caught.value.transient
    assert shop.state() == before


def test_many_conflicts_are_counted(shop):
    names = {f"{number}.txt": "x\n" for number in range(30)}
    shop.repository.commit("qa", names)
    shop.repository.commit("feature/pay", dict.fromkeys(names, "y\n"))
    with pytest.raises(ActionFailed, match="and 10 more"):
        shop.run(ACTION, **ASKED)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "feature/pai"}, "has no branch 'feature/pai'; did you mean 'feature/pay'?"),
        ({"target": "production"}, "has no branch 'production'; push it"),
    ],
)
def test_a_missing_branch_is_explained(shop, changes, words):
    with pytest.raises(ActionFailed) as caught:
        shop.run(ACTION, **(ASKED | changes))
    assert words in str(caught.value)


@pytest.mark.parametrize("name", ["--upload-pack=x", "a b", "x..y", ""])
def test_a_name_that_git_would_refuse_never_reaches_it(shop, name):
    with pytest.raises(InvalidInput):
        shop.run(ACTION, **(ASKED | {"source": name}))


@pytest.mark.parametrize("name", ["$(id)", "a;touch${IFS}x", "refs/heads/x"])
def test_a_strange_name_is_a_name_like_any_other(shop, name):
    shop.repository.branch(name, shop.feature)
    assert shop.run(ACTION, **(ASKED | {"source": name})).outputs["merged"]


class Racing(FakeGit):
    """Somebody else pushes to `qa` before each of our first `races` pushes."""

    races = 1

    def push(self, repo: RepositoryRef, updates: Mapping[str, RefUpdate]) -> dict[str, PushResult]:
        if self.races > 0:
            self.races -= 1
            self.repositories[repo.url].commit("qa", {f"race-{self.races}.txt": "x\n"})
        return super().push(repo, updates)


def test_a_target_that_moves_meanwhile_is_looked_at_again(shop):
    shop.git = Racing(shop.git.objects, shop.git.repositories)
    outcome = shop.run(ACTION, **ASKED)
    files = shop.repository.files(shop.head("qa"))
    assert outcome.outputs["commit"] == shop.head("qa")
    assert files["race-0.txt"] == "x\n"
    assert files["a.txt"] == "2\n"
    assert "moved meanwhile" in shop.log[0]


def test_a_target_that_never_stands_still_is_tried_again_later(shop):
    racing = Racing(shop.git.objects, shop.git.repositories)
    racing.races = TRIES
    shop.git = racing
    with pytest.raises(ActionInterrupted, match="moved 5 times"):
        shop.run(ACTION, **ASKED)


def test_a_refused_push_says_why(shop):
    shop.repository.protected["qa"] = "protected branch"
    with pytest.raises(ActionFailed, match="refused the push to qa: protected branch"):
        shop.run(ACTION, **ASKED)


def test_a_host_that_is_away_is_tried_again(shop):
    shop.git.outage(shop.repository.url, ConnectionDown("the host is away"))
    with pytest.raises(ConnectionDown):
        shop.run(ACTION, **ASKED)


def test_a_cancelled_execution_merges_nothing(shop):
    before = shop.state()
    context = action_context(is_cancelled=lambda: True)
    with pytest.raises(ActionInterrupted, match="cancelled"):
        ACTION.run(context, ACTION.config(**ASKED), shop.ports)
    assert shop.state() == before


def test_an_unknown_repository_is_named(shop):
    with pytest.raises(InvalidInput, match="did you mean 'shop'"):
        shop.run(ACTION, **(ASKED | {"repository": "shup"}))


def test_a_dry_run_says_what_would_move_and_writes_nothing(shop):
    outcome = shop.rehearse(ACTION, **ASKED)
    assert outcome.summary.startswith(f"would move refs/heads/qa from {shop.base[:8]} to ")
    assert outcome.outputs["commit"] == shop.run(ACTION, **ASKED).outputs["commit"]


def test_a_dry_run_finds_a_conflict_too(shop):
    shop.repository.commit("qa", {"a.txt": "3\n"})
    with pytest.raises(ActionFailed, match=r"conflicts in a\.txt"):
        shop.rehearse(ACTION, **ASKED)


def test_a_dry_run_says_that_there_is_nothing_to_do(shop):
    shop.repository.branch("qa", shop.feature)
    assert shop.rehearse(ACTION, **ASKED).summary == "would do nothing: qa contains feature/pay already"
