"""GitHub, on github.com or a server of one's own: branches by git, pull requests and checks by its API."""

from __future__ import annotations

from pydantic import Field, model_validator

from dct_pipelines.domain.hosting.github_hooks import read_delivery, verify
from dct_pipelines.domain.hosting.listen import EVENT_KINDS, ITEM_KINDS, HostedItem, read
from dct_pipelines.domain.hosting.places import place_fault
from dct_pipelines.domain.listener import ConnectionConfig, ListenerType, WebhookType


class GitHubConnection(ConnectionConfig):
    """The credential is a token, or, with both ids, the private key of a GitHub App (PEM)."""

    app_id: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9._-]{1,100}$", description="the app's id or client id"
    )
    installation_id: str | None = Field(
        default=None, pattern=r"^[1-9][0-9]{0,18}$", description="where the app is installed"
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> GitHubConnection:
        if (self.app_id is None) != (self.installation_id is None):
            raise ValueError("app_id and installation_id belong together; give both for an app, else none")
        return self


LISTENER = ListenerType(
    kind="github",
    summary="branches, pull requests, reviews, comments and checks of GitHub's repositories",
    item_kinds=ITEM_KINDS,
    event_kinds=EVENT_KINDS,
    interval_seconds=30,
    item_config=HostedItem,
    read=read,
    example={"default_branch": "main"},
    connection_config=GitHubConnection,
    connection_example={"app_id": "123456", "installation_id": "7890123"},
    default_base="https://github.com",
    location_fault=place_fault,
    webhook=WebhookType(verify=verify, read=read_delivery),
)
