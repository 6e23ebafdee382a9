"""A Jira client: what the listener reads, what actions change, what a check looks at."""

from __future__ import annotations

from typing import Any

from dct_pipelines.clients.jira.center import CenterReading
from dct_pipelines.clients.jira.checks import Checking
from dct_pipelines.clients.jira.cloud import CloudReading
from dct_pipelines.clients.jira.site import site_of
from dct_pipelines.clients.jira.tracker import Tracking
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.ports import Clock


class CloudJira(CloudReading, Tracking, Checking):
    """Jira Cloud."""


class CenterJira(CenterReading, Tracking, Checking):
    """Jira Data Center."""


def jira_client(endpoint: Endpoint, clock: Clock, **changes: Any) -> CloudJira | CenterJira:
    """The client of a connection. `changes` go to its ApiClient (a test's address guard)."""
    site = site_of(endpoint, clock, **changes)
    return CloudJira(site) if site.config.is_cloud else CenterJira(site)
