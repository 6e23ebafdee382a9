"""A GitHub App: what it proves with its private key, and the token that it gets for an hour."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from dct_pipelines.clients.github.credentials import app_jwt
from dct_pipelines.domain.errors import CredentialRefused
from tests.fakes.github_server import TOKEN, GitHubServer, github_server
from tests.fakes.github_world import GitHubWorld
from tests.fakes.ports import NOON, FakeClock

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()
CONFIG = {"app_id": "4711", "installation_id": "99"}
ISSUED = {"token": TOKEN, "expires_at": "2026-03-02T13:00:00Z", "permissions": {}}
PATH = "/api/v3/app/installations/99/access_tokens"


@pytest.fixture
def server() -> Iterator[GitHubServer]:
    world = GitHubWorld(FakeClock())
    world.push("main", {"a.txt": "1"})
    with github_server(world) as served:
        yield served


def issued(server: GitHubServer) -> int:
    return server.calls.count(("POST", PATH))


def test_an_app_proves_that_it_has_its_key_for_ten_minutes_at_most() -> None:
    head, claims, signature = app_jwt("4711", PEM, NOON).split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    KEY.public_key().verify(raw, f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256())
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "RS256", "typ": "JWT"}
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    assert said["iss"] == "4711"
    assert said["iat"] < NOON.timestamp()
    assert said["exp"] - said["iat"] <= 600


@pytest.mark.parametrize("key", ["", "no key", PEM[: len(PEM) // 2]])
def test_what_is_no_private_key_is_a_refused_credential_that_is_not_repeated(key: str) -> None:
    with pytest.raises(CredentialRefused) as told:
        app_jwt("4711", key, NOON)
    assert not key or key not in str(told.value)


def test_its_token_is_got_once_and_again_before_it_ends(server: GitHubServer) -> None:
    client = server.client(CONFIG, PEM)
    reader = client.reader(f"{server.url}/acme/shop")
    server.replies.append((201, {}, ISSUED))
    for _ in range(3):
        reader.open(None)
    assert issued(server) == 1
    ref = client.repository_ref(f"{server.url}/acme/shop")
    assert ref.credential is not None
    assert ref.credential() == TOKEN
    assert isinstance(server.world.clock, FakeClock)
    server.world.clock.advance(minutes=56)
    server.replies.append((201, {}, ISSUED | {"expires_at": "2026-03-02T14:00:00Z"}))
    reader.open(None)
    assert issued(server) == 2


def test_a_token_that_is_refused_before_its_hour_is_over_is_got_anew_once(server: GitHubServer) -> None:
    """To call the connection down would leave it alone for a quarter of an hour, and wake somebody up."""
    reader = server.client(CONFIG, PEM).reader(f"{server.url}/acme/shop")
    refused: tuple[int, dict[str, str], Any] = (401, {}, {"message": "Bad credentials"})
    server.replies += [(201, {}, ISSUED | {"token": "ghs_revoked"}), refused, (201, {}, ISSUED)]
    reader.open(None)
    assert issued(server) == 2
    server.replies += [refused, (201, {}, ISSUED | {"token": "ghs_revoked"}), refused]
    with pytest.raises(CredentialRefused):
        reader.open(None)
    assert issued(server) == 3


def test_an_installation_that_is_not_there_is_a_refused_credential(server: GitHubServer) -> None:
    server.replies.append((404, {}, {"message": "Not Found"}))
    with pytest.raises(CredentialRefused, match="installation_id"):
        server.client(CONFIG, PEM).check()


def test_the_check_of_an_app_says_where_it_is_installed(server: GitHubServer) -> None:
    server.replies += [(201, {}, ISSUED), (200, {}, {"total_count": 3, "repositories": []})]
    account = server.client(CONFIG, PEM).check()[0]
    assert account.said == "GitHub App 4711, installed on 3 repositories"
