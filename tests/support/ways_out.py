"""Every place where a user can write a URL or a host, asked for an address by the real client."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from dct_pipelines import registry
from dct_pipelines.bootstrap.connected import MAKERS
from dct_pipelines.clients.clock import SystemClock
from dct_pipelines.clients.deployers import WebhookDeployment
from dct_pipelines.clients.deployers.health import Health
from dct_pipelines.clients.git import GitClient
from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.clients.http import HttpClient
from dct_pipelines.clients.oauth import AccessTokens, TokenRequest
from dct_pipelines.clients.smtp import SmtpChannelClient
from dct_pipelines.clients.webhook import SignedPost, WebhookChannelClient
from dct_pipelines.domain.channels import SmtpChannel, WebhookChannel
from dct_pipelines.domain.connected import ConnectionPort, Endpoint
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.operations import (
    EnvironmentSpec,
    HealthCheck,
    LocalDeployer,
    Notification,
    WebhookDeployer,
)
from dct_pipelines.domain.ports import DeployRequest, Repository
from tests.fakes.budget import FakeBudget
from tests.fakes.ports import FakeClock, FakeSecrets
from tests.fakes.processes import FakeProcesses


def endpoint(kind: str, base: str, allow_private_network: bool = False, **config: Any) -> Endpoint:
    known = {"username": "dct@example.org"} if kind == "mail" else {}
    return Endpoint(
        connection_id=UUID(int=1),
        name="company",
        kind=kind,
        base=base,
        config={**known, **config},
        credential=lambda: "token",
        allow_private_network=allow_private_network,
        budget=FakeBudget(),
    )


def client_of(kind: str, base: str, allow_private_network: bool = False, **config: Any) -> ConnectionPort:
    made: ConnectionPort = MAKERS[kind](endpoint(kind, base, allow_private_network, **config), SystemClock())
    return made


def deployment(health_url: str | None, deployer: Any) -> DeployRequest:
    check = HealthCheck(url=health_url, attempts=1) if health_url else None
    return DeployRequest(
        environment=EnvironmentSpec(
            name="qa", repository="shop", branch="qa", deployer=deployer, health_check=check
        ),
        repository=Repository(uuid4(), "shop", RepositoryRef("/srv/shop.git")),
        commit="1" * 40,
        key="key",
        execution_id=uuid4(),
        log=lambda _line: None,
        is_cancelled=lambda: False,
    )


def note(channel: str) -> Notification:
    return Notification(
        channel=channel, receiver="qa@example.org", subject="s", text="t", idempotency_key="k"
    )


def by_channel(host: str, allow: bool) -> str | None:
    spec = WebhookChannel(name="hook", url=f"https://{host}/x", allow_private_network=allow)
    return WebhookChannelClient(spec, SignedPost(FakeSecrets(), FakeClock())).send(note("hook")).detail


def by_deployer(host: str, allow: bool) -> str | None:
    deployer = WebhookDeployer(url=f"https://{host}/x", allow_private_network=allow)
    health = Health(FakeProcesses(), FakeSecrets())
    post = SignedPost(FakeSecrets(), FakeClock())
    return WebhookDeployment(post, health).deploy(deployment(None, deployer)).summary


def by_health_check(host: str, _allow: bool) -> str | None:
    request = deployment(f"https://{host}/x", LocalDeployer(command=("true",)))
    return Health(FakeProcesses(), FakeSecrets()).wait(request, None, {})


def by_mail_server(host: str, _allow: bool) -> str | None:
    spec = SmtpChannel(
        name="mail", host=host.strip("[]"), sender="dct@example.org", receivers=("@example.org",)
    )
    return SmtpChannelClient(spec, FakeSecrets(), FakeClock()).send(note("mail")).detail


def by_git(url: str, folder: Path, processes: FakeProcesses, host: str, _allow: bool) -> str | None:
    """The git that it would start is played: whether it is started at all is what counts."""
    client = GitClient(folder, processes)
    return str(client.list_refs(RepositoryRef(url.format(host=host), lambda: "token")))


def by_connection(kind: str, host: str, allow: bool) -> str | None:
    scheme = registry.listener(kind).base_schemes[0]
    return str(client_of(kind, f"{scheme}://{host}", allow).check())


def by_token_url(host: str, allow: bool) -> str | None:
    http = HttpClient(AddressGuard(allow_private_network=allow))
    return AccessTokens(TokenRequest(f"https://{host}/token", "dct"), http, SystemClock()).token("secret")


@dataclass(frozen=True)
class Way:
    """`ask(host, allow_private_network)` goes there; what it returns or raises tells why not."""

    name: str
    ask: Callable[[str, bool], str | None]
    always_private: bool = False
    """Whether private networks are where it usually leads, and therefore allowed."""


def ways(folder: Path, processes: FakeProcesses) -> dict[str, Way]:
    """Every place where somebody can write a URL or a host. A new kind of connection is in it by itself."""
    found = [
        Way("channel", by_channel),
        Way("deployer", by_deployer),
        Way("health_check", by_health_check, always_private=True),
        Way("mail_server", by_mail_server, always_private=True),
        Way("git_https", partial(by_git, "https://{host}/x.git", folder, processes), always_private=True),
        Way("git_ssh", partial(by_git, "ssh://git@{host}/x.git", folder, processes), always_private=True),
        Way("token_url", by_token_url),
        *(Way(kind, partial(by_connection, kind)) for kind in sorted(MAKERS)),
    ]
    return {way.name: way for way in found}
