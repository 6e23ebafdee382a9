"""`archive_workspace`: packed once, removed, and on record."""

from __future__ import annotations

from uuid import UUID

import pytest

from dct_pipelines.actions.archive_workspace import ACTION
from dct_pipelines.actions.create_workspace import ACTION as CREATE
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


def test_a_workspace_is_packed_and_recorded(shop, made):
    outcome = shop.run(ACTION, workspace=made)
    workspace = shop.records.workspaces[UUID(made)]
    assert set(outcome.outputs) == ACTION.outputs
    assert workspace.state is WorkspaceState.ARCHIVED
    assert workspace.archive_path == outcome.outputs["archive_path"]
    assert workspace.archive_sha256 == outcome.outputs["sha256"]
    assert shop.workspaces.manifests[UUID(made)]["title"] == workspace.title


def test_one_that_is_archived_already_is_left_alone(shop, made):
    first = shop.run(ACTION, workspace=made)
    second = shop.run(ACTION, "again", workspace=made)
    assert second.status is OutcomeStatus.NOTHING_TO_DO
    assert second.outputs == first.outputs


def test_an_attempt_that_died_between_packing_and_recording_goes_on(shop, made):
    before = shop.records.workspaces[UUID(made)]
    first = shop.run(ACTION, workspace=made)
    shop.records.workspaces[UUID(made)] = before
    second = shop.again(ACTION, workspace=made)
    assert second.status is OutcomeStatus.DONE
    assert second.outputs == first.outputs


@pytest.mark.parametrize(
    ("workspace_id", "error"), [("nonsense", ActionFailed), (str(UUID(int=5)), NotFound)]
)
def test_a_workspace_that_is_not_there_is_named(shop, workspace_id, error):
    with pytest.raises(error):
        shop.run(ACTION, workspace=workspace_id)


def test_the_workspace_is_leased(made):
    assert ACTION.leases(ACTION.config(workspace=made)) == (f"workspace:{made}",)


def test_a_dry_run_says_what_it_would_pack_and_writes_nothing(shop, made):
    assert "into one file and remove it" in shop.rehearse(ACTION, workspace=made).summary
