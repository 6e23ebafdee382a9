"""Access tokens from a real issuer: kept until shortly before their end, and every way to get none."""

from __future__ import annotations

import json

import pytest

from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.clients.http import HttpClient
from dct_pipelines.clients.oauth import AccessTokens, TokenRequest
from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused
from tests.fakes.ports import FakeClock
from tests.support.tokens import TokenServer, token_server

pytestmark = pytest.mark.integration


def tokens_of(server: TokenServer, clock: FakeClock, **changes: str) -> AccessTokens:
    http = HttpClient(AddressGuard(allow_private_network=True), timeout_seconds=3)
    return AccessTokens(TokenRequest(**{"url": server.url, "client_id": "dct", **changes}), http, clock)


def test_a_token_is_kept_until_shortly_before_its_end():
    clock = FakeClock()
    with token_server() as server:
        tokens = tokens_of(server, clock)
        assert [tokens.token("s"), tokens.token("s")] == ["token-1", "token-1"]
        clock.advance(seconds=3600 - 121)
        assert tokens.token("s") == "token-1"
        clock.advance(seconds=2)
        assert tokens.token("s") == "token-2"


def test_a_renewed_secret_and_a_forgotten_token_ask_anew():
    with token_server() as server:
        tokens = tokens_of(server, FakeClock())
        assert [tokens.token("a"), tokens.token("b")] == ["token-1", "token-2"]
        tokens.forget()
        assert tokens.token("b") == "token-3"


@pytest.mark.parametrize("seconds", [None, "soon", -5, 0, 1e30, "600"])
def test_a_strange_lifetime_is_no_reason_to_ask_each_time(seconds):
    with token_server() as server:
        server.seconds = seconds
        tokens = tokens_of(server, FakeClock())
        tokens.token("s")
        tokens.token("s")
        assert server.count == 1


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, b'{"error": "invalid_client"}', CredentialRefused),
        (400, b"not json", CredentialRefused),
        (500, b"", ConnectionDown),
        (302, b"", ConnectionDown),
        (200, b"", ConnectionDown),
        (200, b"[]", ConnectionDown),
        (200, b"{}", ConnectionDown),
        (200, json.dumps({"access_token": 5}).encode(), ConnectionDown),
        (200, json.dumps({"access_token": "a\r\nb"}).encode(), ConnectionDown),
        (200, json.dumps({"access_token": "\u00e4"}).encode(), ConnectionDown),
    ],
)
def test_an_issuer_that_gives_no_token_says_who_has_to_act(status: int, body: bytes, error: type[Exception]):
    with token_server() as server:
        server.status, server.body = status, body
        with pytest.raises(error) as caught:
            tokens_of(server, FakeClock()).token("open sesame")
        assert "sesame" not in str(caught.value)


def test_an_issuer_that_cannot_be_reached_is_down_and_one_in_a_private_network_is_refused():
    with token_server() as server:
        pass
    with pytest.raises(ConnectionDown):
        tokens_of(server, FakeClock()).token("s")
    guarded = HttpClient(AddressGuard())
    with pytest.raises(CredentialRefused, match="private network"):
        AccessTokens(TokenRequest("http://127.0.0.1:1/token", "dct"), guarded, FakeClock()).token("s")
    with pytest.raises(CredentialRefused, match="always refused"):
        tokens_of(server, FakeClock(), url="http://169.254.169.254/token").token("s")
