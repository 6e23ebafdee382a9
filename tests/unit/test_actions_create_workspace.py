"""`create_workspace`: one workspace per execution and action, with its context, on a branch of its own."""

from __future__ import annotations

import json
from uuid import UUID

import pytest
from pydantic import ValidationError

from dct_pipelines.actions.create_workspace import ACTION
from dct_pipelines.domain.errors import ActionFailed, InvalidInput, NotFound
from dct_pipelines.domain.outcome import OutcomeStatus
from dct_pipelines.domain.words import WorkspaceState
from tests.fakes.ports import NOON
from tests.fakes.shop import Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()


def bundle(shop: Shop, workspace_id: str) -> dict[str, str]:
    return shop.workspaces.bundles[UUID(workspace_id)]


def test_a_workspace_is_opened_on_its_own_branch_and_recorded(shop):
    outcome = shop.run(ACTION, draft="try-it")
    (workspace,) = shop.records.workspaces.values()
    assert outcome.status is OutcomeStatus.DONE
    assert set(outcome.outputs) == ACTION.outputs
    assert workspace.state is WorkspaceState.OPEN
    assert workspace.branch == outcome.outputs["branch"] == f"ws/{str(workspace.id)[:8]}"
    assert shop.workspaces.opened[workspace.id] == (workspace.branch, shop.base)
    assert workspace.retain_until is not None
    assert (workspace.retain_until - NOON).days == 14


def test_its_bundle_says_what_it_is_about(shop):
    outcome = shop.run(ACTION, draft="try-it", context=("more",), deliverables=("report",))
    files = bundle(shop, outcome.outputs["workspace_id"])
    assert set(files) == {".dct/.gitignore", ".dct/context.json", ".dct/context.md"}
    content = json.loads(files[".dct/context.json"])
    assert [item["name"] for item in content["items"]] == ["notes", "more"]
    assert content["suites"][0]["command"] == ["pytest"]
    assert content["workspace"]["deliverables"] == ["report"]
    assert content["instructions"] == "Look at the checkout page."


def test_a_second_attempt_returns_the_same_one(shop):
    first = shop.run(ACTION, draft="try-it")
    second = shop.again(ACTION, draft="try-it")
    assert second.status is OutcomeStatus.NOTHING_TO_DO
    assert second.outputs == first.outputs
    assert len(shop.records.workspaces) == 1


def test_one_that_was_left_half_made_is_completed_where_it_started(shop):
    shop.library.items.clear()
    with pytest.raises(NotFound):
        shop.run(ACTION, draft="try-it")
    (half,) = shop.records.workspaces.values()
    assert half.state is WorkspaceState.CREATING
    shop.library.items["notes"] = {"name": "notes"}
    shop.repository.commit("main", {"later.txt": "x\n"})
    outcome = shop.again(ACTION, draft="try-it")
    assert outcome.status is OutcomeStatus.DONE
    assert outcome.outputs["commit"] == shop.base
    assert shop.records.workspaces[half.id].state is WorkspaceState.OPEN


def test_two_actions_of_one_execution_open_two(shop):
    branches = {shop.run(ACTION, name, draft="try-it").outputs["branch"] for name in ("one", "two")}
    assert len(branches) == 2


def test_it_can_start_at_a_commit_or_another_branch(shop):
    assert shop.run(ACTION, "one", draft="try-it", commit=shop.feature).outputs["commit"] == shop.feature
    assert shop.run(ACTION, "two", draft="try-it", base="feature/pay").outputs["commit"] == shop.feature


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"draft": "tryit"}, NotFound, "did you mean 'try-it'"),
        ({"base": "mian"}, ActionFailed, "did you mean 'main'"),
        ({"commit": "abc"}, ActionFailed, "full object id"),
        ({"context": ("nots",)}, NotFound, "did you mean 'notes'"),
    ],
)
def test_what_is_not_there_is_named(shop, changes, error, words):
    with pytest.raises(error, match=words):
        shop.run(ACTION, **({"draft": "try-it"} | changes))


def test_a_branch_that_git_would_refuse_is_refused_before_anything_is_made(shop):
    shop.library.drafts["try-it"] = shop.library.drafts["try-it"].model_copy(update={"branch": "ws/.."})
    with pytest.raises(InvalidInput):
        shop.run(ACTION, draft="try-it")
    assert not shop.records.workspaces


def test_a_repository_without_a_default_branch_needs_a_base(shop):
    shop.repository.default_branch = "gone"
    with pytest.raises(ActionFailed, match="name a base in the draft"):
        shop.run(ACTION, draft="try-it")


def test_agents_come_with_a_later_release():
    with pytest.raises(ValidationError, match="later release"):
        ACTION.config.model_validate({"draft": "d", "agents": [{"profile": "p"}]})


def test_a_dry_run_says_what_it_would_open_and_writes_nothing(shop):
    outcome = shop.rehearse(ACTION, draft="try-it")
    assert "open a workspace at" in outcome.summary
    assert ".dct/context.md" in outcome.summary
