"""What a connection to Jira, and its items, are configured with."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from dct_pipelines.domain.listener import ConnectionConfig, ItemConfig
from dct_pipelines.domain.words import ItemKind

LEAST_OVERLAP = timedelta(minutes=15)
LONGEST_QUERY = 2_000
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}-[1-9][0-9]{0,17}|[1-9][0-9]{0,17}")
_QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")

ProjectKey = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,99}$")]


class JiraConnection(ConnectionConfig):
    """A Jira site."""

    deployment: Literal["cloud", "data_center"] = Field(
        default="cloud", description="`data_center` speaks REST v2 and wiki markup, `cloud` REST v3"
    )
    username: str | None = Field(
        default=None,
        max_length=255,
        description="the account's address (Cloud) or name, if the credential is no bearer token",
    )
    projects: tuple[ProjectKey, ...] = Field(
        default=(), max_length=200, description="keys; the search for changes is narrowed to these projects"
    )
    sweep_interval_seconds: int = Field(
        default=3600, ge=300, le=7 * 86400, description="how often every watched ticket is looked at anew"
    )
    settle_seconds: int = Field(
        default=60,
        ge=0,
        le=2 * 86400,
        description="a changed ticket is read again until so long after its change: Jira's search lags",
    )
    history_metadata: bool = Field(
        default=True,
        description="false where Jira drops history metadata: own changes are known by account and value",
    )

    @property
    def is_cloud(self) -> bool:
        """Whether it is Atlassian's own site."""
        return self.deployment == "cloud"

    @property
    def overlap(self) -> timedelta:
        """How far behind the watermark each search begins."""
        return max(LEAST_OVERLAP, timedelta(seconds=self.settle_seconds))


class JiraItem(ItemConfig):
    """Nothing is special about a ticket or a query besides its location."""


def location_fault(kind: ItemKind, location: str) -> str | None:
    """What is wrong with a ticket's key or a query, or None."""
    if kind is ItemKind.JIRA_TICKET:
        if _KEY.fullmatch(location):
            return None
        return "is no ticket; give its key, e.g. PAY-7, or its numeric id"
    if not location.strip() or len(location) > LONGEST_QUERY:
        return f"is no query; give JQL of 1 to {LONGEST_QUERY} characters, e.g. project = PAY"
    if re.search(r"\border\s+by\b", _QUOTED.sub("", location), re.IGNORECASE):
        return "has an ORDER BY; leave it out, events come in the order in which they happened"
    return None
