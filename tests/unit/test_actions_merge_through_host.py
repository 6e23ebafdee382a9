"""`merge_branches` through a git host: branches and pull requests, guarded, announced, and explained."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from dct_pipelines.actions.create_pull_request import ACTION as CREATE
from dct_pipelines.actions.merge_branches import ACTION
from dct_pipelines.clients.dry_run import DryRun
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, ConnectionDown
from dct_pipelines.domain.hosting.port import HostMerge, NewRequest
from dct_pipelines.domain.merging import TRIES
from dct_pipelines.domain.outcome import OutcomeStatus
from dct_pipelines.domain.own_marks import mark_of, marks_in
from tests.fakes.code_host import FakeCodeHost
from tests.fakes.ports import EXECUTION, action_context
from tests.fakes.shop import SHOP, Shop

BRANCHES = {"repository": "shop", "source": "feature/pay", "target": "qa", "through": "host"}
REQUEST = {"repository": "shop", "pull_request": 1}
MARK = (SHOP, mark_of(EXECUTION, "step"))
MERGED = (SHOP, "pull/1 merged")


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.at_host()
    shop.host.open_request(NewRequest("acme/shop", "feature/pay", "qa", "Pay by card", ""))
    return shop


def message_at(shop: Shop, branch: str = "qa") -> str:
    commit = shop.git.objects.commits[shop.head(branch)]
    return f"{commit.subject}\n\n{commit.body}"


@pytest.mark.parametrize("asked", [BRANCHES, REQUEST])
def test_the_host_merges_and_says_whose_it_is(shop, asked):
    outcome = shop.run(ACTION, **asked)
    head = shop.head("qa")
    assert outcome.status is OutcomeStatus.DONE
    assert outcome.outputs == {
        "commit": head,
        "source_commit": shop.feature,
        "target": "qa",
        "merged": True,
    }
    assert shop.git.objects.commits[head].author_name == "Host"
    assert shop.git.objects.commits[head].parents == (shop.base, shop.feature)
    assert marks_in(message_at(shop)) == (MARK[1],)


def test_a_request_is_merged_under_its_title_or_a_message_of_its_own(shop):
    shop.run(ACTION, **REQUEST)
    assert message_at(shop).startswith("Pay by card\n\nDct-Execution: ")


def test_a_message_of_its_own_is_used(shop):
    shop.run(ACTION, **REQUEST, message="PAY-7: ready")
    assert message_at(shop).startswith("PAY-7: ready\n\nDct-Execution: ")


@pytest.mark.parametrize("method", ["squash", "rebase"])
def test_a_request_can_be_merged_as_one_commit(shop, method):
    outcome = shop.run(ACTION, **REQUEST, method=method)
    assert shop.git.objects.commits[outcome.outputs["commit"]].parents == (shop.base,)


@pytest.mark.parametrize(("asked", "expected"), [(BRANCHES, [MARK]), (REQUEST, [MARK, MERGED])])
def test_the_merge_is_announced_by_its_trailers_before_and_by_its_commit_after(shop, asked, expected):
    announced: list[Any] = []
    shop.host.before_merge = lambda: announced.extend(shop.records.own_writes)
    commit = shop.run(ACTION, **asked).outputs["commit"]
    assert announced == expected
    assert shop.records.own_writes == [*expected[1:], (SHOP, commit)]


@pytest.mark.parametrize("asked", [BRANCHES, REQUEST])
def test_a_merge_that_did_not_happen_leaves_nothing_announced(shop, asked):
    shop.host.refusal = "2 reviews are missing"
    with pytest.raises(ActionFailed, match=r"github did not merge .*: 2 reviews are missing"):
        shop.run(ACTION, **asked)
    assert shop.records.own_writes == []


def test_a_fast_forward_does_not_make_the_sources_own_commits_ours(shop):
    class Forwarding(FakeCodeHost):
        def merge_branches(self, repository: str, *, source: str, target: str, message: str) -> HostMerge:
            self.repositories[repository].branch(target, shop.feature)
            return HostMerge("merged", source)

    shop.connections.hosts["forge"] = Forwarding(shop.git, shop.host.repositories)
    assert shop.run(ACTION, **BRANCHES).outputs["commit"] == shop.feature
    assert (SHOP, shop.feature) not in shop.records.own_writes


def test_what_is_contained_already_is_nothing_to_do(shop):
    shop.repository.branch("qa", shop.feature)
    outcome = shop.run(ACTION, **BRANCHES)
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO
    assert (outcome.outputs["commit"], outcome.outputs["merged"]) == (shop.feature, False)


def test_a_request_that_somebody_merged_is_nothing_to_do(shop):
    message = f"By hand\n\nDct-Execution: {UUID(int=7)}\nDct-Step: step"
    shop.host.merge_request("acme/shop", 1, head=shop.feature, method="merge", message=message)
    for started_before in (False, True):
        outcome = shop.again(ACTION, **REQUEST, started_before=started_before)
        assert outcome.status is OutcomeStatus.NOTHING_TO_DO
        assert outcome.outputs["commit"] == shop.head("qa")


def test_a_request_that_somebody_merges_just_before_us_is_nothing_to_do(shop):
    def meanwhile() -> None:
        shop.host.before_merge = lambda: None
        shop.host.merge_request("acme/shop", 1, head=shop.feature, method="merge", message="By hand")

    shop.host.before_merge = meanwhile
    outcome = shop.run(ACTION, **REQUEST)
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO
    assert shop.records.own_writes == []


@pytest.mark.parametrize("asked", [BRANCHES, REQUEST, REQUEST | {"method": "squash"}])
def test_an_attempt_that_died_after_the_merge_is_recognised_below_later_commits(shop, asked):
    first = shop.run(ACTION, **asked)
    shop.repository.commit("qa", {"c.txt": "later\n"})
    second = shop.again(ACTION, **asked)
    assert (second.status, second.outputs) == (OutcomeStatus.DONE, first.outputs)


def test_a_conflict_of_branches_names_its_files(shop):
    shop.repository.commit("qa", {"a.txt": "3\n"})
    with pytest.raises(ActionFailed, match=r"conflicts in a\.txt; merge qa into feature/pay"):
        shop.run(ACTION, **BRANCHES)


def test_a_request_in_conflict_says_what_to_do(shop):
    shop.repository.commit("qa", {"a.txt": "3\n"})
    with pytest.raises(ActionFailed, match=r"they conflict; merge qa into feature/pay, resolve, and push"):
        shop.run(ACTION, **REQUEST)


def test_a_head_that_moves_meanwhile_is_looked_at_again(shop):
    def meanwhile() -> None:
        shop.host.before_merge = lambda: None
        pushed.append(shop.repository.commit("feature/pay", {"d.txt": "more\n"}))

    pushed: list[str] = []
    shop.host.before_merge = meanwhile
    outcome = shop.run(ACTION, **REQUEST)
    assert outcome.outputs["source_commit"] == pushed[0]
    assert shop.log == ["pull request 1 has moved meanwhile; looking again"]


def test_a_head_that_never_stops_moving_is_tried_again_later(shop):
    shop.host.before_merge = lambda: pushed.append(
        shop.repository.commit("feature/pay", {"d.txt": f"{len(pushed)}\n"})
    )
    pushed: list[str] = []
    with pytest.raises(ActionInterrupted, match=f"moved {TRIES} times"):
        shop.run(ACTION, **REQUEST)
    assert len(pushed) == TRIES


def test_a_request_that_is_not_at_the_head_that_was_asked_for_is_left_alone(shop):
    shop.repository.commit("feature/pay", {"d.txt": "not reviewed\n"})
    before = shop.state()
    with pytest.raises(ActionFailed, match=f"no longer {shop.feature[:8]}"):
        shop.run(ACTION, **REQUEST, head=shop.feature)
    assert shop.state() == before


def test_a_request_whose_head_moves_from_the_one_that_was_asked_for_is_not_merged(shop):
    shop.host.before_merge = lambda: shop.repository.commit("feature/pay", {"d.txt": "not reviewed\n"})
    with pytest.raises(ActionFailed, match=f"no longer {shop.feature[:8]}"):
        shop.run(ACTION, **REQUEST, head=shop.feature)
    assert shop.host.merged == {}


def test_a_closed_request_is_an_explained_failure(shop):
    shop.host.closed.add(1)
    with pytest.raises(ActionFailed, match="is closed; open it again"):
        shop.run(ACTION, **REQUEST)


def test_no_request_to_merge_is_nothing_to_do(shop):
    outcome = shop.run(ACTION, repository="shop", pull_request=0)
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO
    assert set(outcome.outputs) == ACTION.outputs


@pytest.mark.parametrize("number", ["$(id)", "-1", "1; rm -rf /", "٣", "1" * 100_000, "../../x", "1.5", " "])
def test_what_is_no_number_never_reaches_the_host(shop, number):
    shop.host.outage = AssertionError("it was asked")
    with pytest.raises(ActionFailed, match="is not the number of a pull request"):
        shop.run(ACTION, repository="shop", pull_request=number)


@pytest.mark.parametrize("head", ["main", "--force", "a" * 39, "$(id)"])
def test_what_is_no_commit_is_refused(shop, head):
    with pytest.raises(ActionFailed, match="not a full object id"):
        shop.run(ACTION, **REQUEST, head=head)


def test_a_hostile_message_is_cut_and_cannot_forge_the_trailers_of_others(shop):
    shop.run(ACTION, **REQUEST, message="x" * 100_000)
    assert len(message_at(shop)) < 2000
    shop.repository.branch("qa", shop.base)
    shop.run(ACTION, **BRANCHES, message=f"x\n\nDct-Execution: {UUID(int=7)}\nDct-Step: step")
    assert marks_in(message_at(shop)) == (MARK[1],)


@pytest.mark.parametrize(
    "asked",
    [
        {"source": "a"},
        {"target": "a"},
        {},
        {"pull_request": 1, "source": "a"},
        {"pull_request": 1, "target": "a"},
        {"source": "a", "target": "b", "head": "c"},
        {"source": "a", "target": "b", "method": "squash"},
    ],
)
def test_branches_and_requests_are_told_apart_when_it_is_saved(asked):
    with pytest.raises(ValidationError):
        ACTION.config(repository="shop", **asked)


@pytest.mark.parametrize("asked", [BRANCHES, REQUEST])
def test_a_repository_that_is_not_at_a_host_says_so(asked):
    with pytest.raises(ActionFailed, match="needs a git host"):
        Shop().run(ACTION, **asked)


@pytest.mark.parametrize("asked", [BRANCHES, REQUEST])
def test_a_host_that_is_away_keeps_the_announcement_for_it_may_have_merged(shop, asked):
    def away() -> None:
        raise ConnectionDown("the answer got lost")

    shop.host.before_merge = away
    with pytest.raises(ConnectionDown):
        shop.run(ACTION, **asked)
    assert MARK in shop.records.own_writes


@pytest.mark.parametrize("asked", [BRANCHES, REQUEST])
def test_a_cancelled_merge_does_not_begin(shop, asked):
    context = action_context(is_cancelled=lambda: True)
    with pytest.raises(ActionInterrupted, match="cancelled before"):
        ACTION.run(context, ACTION.config.model_validate(asked), shop.ports)
    assert shop.head("qa") == shop.base


@pytest.mark.parametrize("asked", [BRANCHES, REQUEST])
def test_a_dry_run_merges_nothing_and_says_what_it_would(shop, asked):
    assert "into qa at the host" in shop.rehearse(ACTION, **asked).summary


def chain(shop: Shop, play: Any) -> list[Any]:
    """A pull request is opened, and merged at the head that it had."""
    shop.host.opened.clear()
    made = play(CREATE, repository="shop", source="feature/pay", target="qa")
    number, head = made.outputs["number"], made.outputs["head"]
    return [made, play(ACTION, repository="shop", pull_request=str(number), head=head)]


def test_what_one_action_opens_the_next_one_merges(shop):
    opened, merged = chain(shop, shop.run)
    assert (opened.outputs["created"], merged.outputs["merged"]) == (True, True)
    assert merged.outputs["source_commit"] == opened.outputs["head"]


def test_where_there_is_nothing_to_open_there_is_nothing_to_merge(shop):
    shop.repository.branch("qa", shop.feature)
    assert [outcome.status for outcome in chain(shop, shop.run)] == [OutcomeStatus.NOTHING_TO_DO] * 2


def test_a_dry_run_of_both_merges_what_it_would_have_opened(shop):
    rehearsal = DryRun(shop.ports)

    def play(action: Any, **config: Any) -> Any:
        return rehearsal.rehearse(action, action_context(), action.config.model_validate(config))

    opened, merged = chain(shop, play)
    assert "open a pull request from feature/pay to qa" in opened.summary
    assert merged.summary == "would merge that pull request into qa at the host, by merge"
    assert shop.host.opened == {}
