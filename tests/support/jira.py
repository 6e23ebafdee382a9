"""Clients of Jira for tests: of the simulated site, and of the Jira Data Center that tests start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from dct_pipelines.clients.clock import SystemClock
from dct_pipelines.clients.jira import CenterJira, CloudJira, jira_client
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.ports import Clock
from tests.fakes.budget import FakeBudget
from tests.fakes.jira_server import JiraServer as Simulated
from tests.fakes.jira_site import JiraSite
from tests.fakes.ports import FakeClock
from tests.fakes.rest_http import RestHttp, rest_http

CONNECTION = UUID("00000000-0000-4000-8000-0000000001a1")
REAL: Mapping[str, Any] = {
    "deployment": "data_center",
    "username": "admin",
    # jira820 keeps days where Jira keeps moments, and drops the metadata of changes.
    "settle_seconds": 2 * 86400,
    "history_metadata": False,
}
"""The configuration of a connection to the Jira that tests start."""


def endpoint(base: str, config: Mapping[str, Any], budget: FakeBudget | None = None) -> Endpoint:
    """A connection's endpoint on loopback."""
    return Endpoint(
        CONNECTION, "jira", "jira", base, config, lambda: "jira-token", True, budget or FakeBudget()
    )


def client(base: str, config: Mapping[str, Any], clock: Clock | None = None) -> CloudJira | CenterJira:
    """The real client."""
    return jira_client(endpoint(base, config), clock or SystemClock())


@dataclass
class Simulation:
    """A simulated site with the real client of it."""

    site: JiraSite
    server: Simulated
    http: RestHttp
    client: CloudJira | CenterJira
    clock: FakeClock
    config: Mapping[str, Any]


@contextmanager
def simulation(*, is_cloud: bool, **changes: Any) -> Iterator[Simulation]:
    """A simulated site for the block; `changes` are of its server."""
    clock = FakeClock()
    site = JiraSite(clock, is_cloud=is_cloud)
    server = Simulated(site, **changes)
    config = {"deployment": "cloud" if is_cloud else "data_center"}
    with rest_http(server) as http:
        made = client(http.url, config, clock)
        yield Simulation(site, server, http, made, clock, config)
        made.site.api.close()
