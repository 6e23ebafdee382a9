"""`update_workspace`: what was made can be refreshed, and is left alone when there is no news."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest

from dct_pipelines.actions.create_workspace import ACTION as CREATE
from dct_pipelines.actions.update_workspace import ACTION
from dct_pipelines.domain.errors import ActionFailed, NotFound
from dct_pipelines.domain.outcome import OutcomeStatus
from dct_pipelines.domain.words import WorkspaceState
from tests.fakes.shop import Shop


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def made(shop: Shop) -> str:
    workspace_id: str = shop.run(CREATE, "create", draft="try-it").outputs["workspace_id"]
    return workspace_id


def content(shop: Shop, workspace_id: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(shop.workspaces.bundles[UUID(workspace_id)][".dct/context.json"])
    return loaded


def test_without_news_there_is_nothing_to_do(shop, made):
    outcome = shop.run(ACTION, workspace=made)
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO
    assert set(outcome.outputs) == ACTION.outputs


def test_news_of_a_context_item_are_brought_in(shop, made):
    shop.library.items["notes"] = {"name": "notes", "text": "newer"}
    assert shop.run(ACTION, workspace=made).status is OutcomeStatus.DONE
    assert content(shop, made)["items"] == [{"name": "notes", "text": "newer"}]
    assert shop.run(ACTION, "again", workspace=made).status is OutcomeStatus.NOTHING_TO_DO


def test_context_title_and_deliverables_can_change(shop, made):
    outcome = shop.run(
        ACTION, workspace=made, title="New\n title", context=("more",), deliverables=("report", "patch")
    )
    workspace = shop.records.workspaces[UUID(made)]
    assert outcome.status is OutcomeStatus.DONE
    assert (workspace.title, workspace.deliverables) == ("New title", ("report", "patch"))
    assert [item["name"] for item in content(shop, made)["items"]] == ["notes", "more"]
    assert workspace.context_digest == outcome.outputs["digest"]


@pytest.mark.parametrize(
    ("workspace_id", "error", "words"),
    [
        ("nonsense", ActionFailed, "is not the id of a workspace"),
        (str(UUID(int=5)), NotFound, "no workspace"),
    ],
)
def test_a_workspace_that_is_not_there_is_named(shop, workspace_id, error, words):
    with pytest.raises(error, match=words):
        shop.run(ACTION, workspace=workspace_id)


def test_an_archived_workspace_is_not_changed(shop, made):
    key = UUID(made)
    archived = shop.records.workspaces[key].model_copy(update={"state": WorkspaceState.ARCHIVED})
    shop.records.workspaces[key] = archived
    with pytest.raises(ActionFailed, match="only an open workspace"):
        shop.run(ACTION, workspace=made)


def test_the_workspace_is_leased(made):
    assert ACTION.leases(ACTION.config(workspace=made)) == (f"workspace:{made}",)


def test_a_dry_run_says_what_it_would_write_and_writes_nothing(shop, made):
    outcome = shop.rehearse(ACTION, workspace=made, title="Other")
    assert ".dct/context.json" in outcome.summary
    assert shop.rehearse(ACTION, workspace=made).summary.startswith("would do nothing")
