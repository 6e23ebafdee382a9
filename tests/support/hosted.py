"""The real clients of GitLab and Gitea, before their simulated servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from dct_pipelines.clients.gitea.client import GiteaClient
from dct_pipelines.clients.gitlab.client import GitLabClient
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.errors import ConnectionDown, DctError, Throttled
from tests.fakes import gitea_server, gitlab_server
from tests.fakes.budget import FakeBudget
from tests.fakes.gitea_server import GiteaServer
from tests.fakes.gitlab_server import GitLabServer
from tests.fakes.hosted_world import HostedWorld
from tests.fakes.ports import FakeClock
from tests.fakes.rest_http import Answered, RestHttp, rest_http

S = TypeVar("S", GitLabServer, GiteaServer)
C = TypeVar("C", GitLabClient, GiteaClient)


@dataclass
class Hosted(Generic[S, C]):
    """A world, the server that tells it, and the client. `secrets` holds the credential."""

    world: HostedWorld
    server: S
    http: RestHttp
    client: C
    base: str
    secrets: list[str]
    budget: FakeBudget

    @property
    def clock(self) -> FakeClock:
        return self.world.clock

    def location(self, *parts: object) -> str:
        """Of the repository, or of something below it."""
        return "/".join((self.base, "acme/shop", *map(str, parts)))


@contextmanager
def gitlab(*, root: str = "", page_size: int = 100) -> Iterator[Hosted[GitLabServer, GitLabClient]]:
    """GitLab, perhaps below a path of its address."""
    server = GitLabServer(HostedWorld(FakeClock()), root=root, page_size=page_size)
    with rest_http(server) as http:
        secrets, budget = [gitlab_server.TOKEN], FakeBudget()
        endpoint = _endpoint("gitlab", http.url + root, secrets, budget)
        client = GitLabClient(endpoint, server.clock)
        yield Hosted(server.world, server, http, client, endpoint.base, secrets, budget)
        client.close()


@contextmanager
def gitea(*, root: str = "", page_size: int = 50) -> Iterator[Hosted[GiteaServer, GiteaClient]]:
    """Gitea, perhaps below a path of its address."""
    server = GiteaServer(HostedWorld(FakeClock()), root=root, page_size=page_size)
    with rest_http(server) as http:
        secrets, budget = [gitea_server.TOKEN], FakeBudget()
        endpoint = _endpoint("gitea", http.url + root, secrets, budget)
        client = GiteaClient(endpoint, server.clock)
        yield Hosted(server.world, server, http, client, endpoint.base, secrets, budget)
        client.close()


def _endpoint(kind: str, base: str, secrets: list[str], budget: FakeBudget) -> Endpoint:
    return Endpoint(UUID(int=7), f"the-{kind}", kind, base, {}, lambda: secrets[0], True, budget)


FAULTS: tuple[tuple[str, type[DctError]], ...] = (
    ("500", ConnectionDown),
    ("502", ConnectionDown),
    ("429", Throttled),
    ("503", Throttled),
    ("reset", ConnectionDown),
    ("half", ConnectionDown),
    ("html", ConnectionDown),
    ("wrong", ConnectionDown),
)
"""How an answer goes wrong in passing, and what that is for the connection."""


def say(hosted: Hosted[S, C], status: int, content: Any = None, *, to: str = "", method: str = "") -> None:
    """The server answers this to requests with `to` in their path, and as usual to all else."""
    said = Answered(status, content)
    hosted.http.instead = lambda asked: said if to in asked.path and asked.method.startswith(method) else None
