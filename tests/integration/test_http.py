"""One guarded request: redirects, drips, floods, silence, and other people's certificates."""

from __future__ import annotations

import time

import pytest

from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.clients.http import BODY_LIMIT_BYTES, HttpClient
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from tests.support.receiver import receiver

pytestmark = pytest.mark.integration


def client(timeout_seconds: float = 5, allow: bool = True) -> HttpClient:
    return HttpClient(AddressGuard(allow_private_network=allow), timeout_seconds=timeout_seconds)


def test_an_answer_comes_back_whatever_its_status():
    with receiver() as server:
        server.answers = [(503, b"later")]
        answer = client().send("POST", server.url + "?a=b", {"x-one": "1"}, b"body")
        assert (answer.status, answer.body, answer.is_success) == (503, b"later", False)
        (request,) = server.requests
        assert (request.method, request.path, request.body) == ("POST", "/hook?a=b", b"body")
        assert request.headers["x-one"] == "1"
        assert request.headers["host"] == f"127.0.0.1:{server.port}"


def test_this_machine_is_not_reached_unless_an_operator_allows_it():
    with receiver() as server:
        with pytest.raises(ActionFailed, match="private network"):
            client(allow=False).send("GET", server.url)
        assert not server.requests


def test_a_redirect_is_not_followed():
    with receiver() as server:
        server.answers = [(302, b"")]
        server.headers["location"] = server.url + "/elsewhere"
        assert client().send("GET", server.url).status == 302
        assert len(server.requests) == 1


def test_a_flood_is_cut():
    with receiver() as server:
        server.answers = [(200, b"x" * 10 * BODY_LIMIT_BYTES)]
        assert len(client().send("GET", server.url).body) == BODY_LIMIT_BYTES


def test_silence_ends_in_time():
    with receiver() as server:
        server.answers = [None]
        with pytest.raises(ActionInterrupted, match="did not answer within"):
            client(0.3).send("GET", server.url)


def test_a_drip_ends_in_time_although_every_single_read_is_quick():
    with receiver() as server:
        server.answers, server.drip_seconds = [(200, b"x" * 1000)], 0.05
        started = time.monotonic()
        with pytest.raises(ActionInterrupted):
            client(0.5).send("GET", server.url)
        assert time.monotonic() - started < 3


def test_nobody_listening_is_tried_again():
    with receiver() as server:
        url = server.url
    with pytest.raises(ActionInterrupted, match="cannot be reached"):
        client().send("GET", url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://example.org/", "https://"),
        ("https://", "name a host"),
        ("https://user:pw@example.org/", "credentials"),
        ("https://example.org/a b", "percent-encoded"),
        ("https://example.org/\r\nx: y", "percent-encoded"),
        ("https://exämple.org/", "percent-encoded"),
        ("https://example.org:99999/", "malformed"),
        ("https://[::1/", "malformed"),
        ("file:///etc/passwd", "https://"),
    ],
)
def test_a_url_that_is_none_of_ours_is_refused(url, words):
    with pytest.raises(ActionFailed, match=words):
        client().send("GET", url)
