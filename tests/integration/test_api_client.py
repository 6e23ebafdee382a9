"""The client of providers: what each answer means, and that nothing is repeated or let through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from dct_pipelines.clients.api import ApiAnswer, ApiClient, ApiRefusal, ApiRules
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.errors import (
    AddressRefused,
    ConnectionDown,
    CredentialRefused,
    DctError,
    Throttled,
)
from tests.fakes.budget import FakeBudget
from tests.fakes.ports import NOON, FakeClock
from tests.support.raw_http import RESET, Raw, answer, raw_server

pytestmark = pytest.mark.integration
OK = answer(200, b'{"ok": true}')


@pytest.fixture
def server() -> Iterator[Raw]:
    with raw_server() as running:
        running.answers = [OK]
        yield running


@pytest.fixture
def budget() -> FakeBudget:
    return FakeBudget()


@pytest.fixture
def client(server: Raw, budget: FakeBudget) -> Iterator[Callable[..., ApiClient]]:
    made: list[ApiClient] = []

    def make(*, rules: dict[str, Any] | None = None, **changes: Any) -> ApiClient:
        options = {key: changes.pop(key) for key in ("size_limit_bytes", "timeout_seconds") if key in changes}
        given: dict[str, Any] = {
            "connection_id": UUID(int=1),
            "name": "tickets",
            "kind": "jira",
            "base": f"{server.url}/jira",
            "config": {},
            "credential": lambda: "s3cret",
            "allow_private_network": True,
            "budget": budget,
        }
        bearer = ApiRules(lambda secret: {"Authorization": f"Bearer {secret}"}, **(rules or {}))
        made.append(ApiClient(Endpoint(**(given | changes)), bearer, FakeClock(), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_call_carries_the_credential_and_comes_back_parsed(server, client, budget):
    server.answers = [answer(200, b'{"id": 7}', {"Date": "Mon, 02 Mar 2026 12:00:05 GMT"})]
    found = client(rules={"headers": {"X-Api": "2"}}).call(
        "POST", "rest/issue", query={"jql": "a = b & c"}, json={"text": "é"}, headers={"X-One": "1"}
    )
    assert (found.status, found.body, found.date_offset_seconds) == (200, {"id": 7}, 5.0)
    line, _, rest = server.heard[0].partition(b"\r\n")
    assert line == b"POST /jira/rest/issue?jql=a+%3D+b+%26+c HTTP/1.1"
    assert rest.endswith(b'{"text":"\\u00e9"}')
    headers = server.headers()
    assert (headers["authorization"], headers["x-api"], headers["x-one"]) == ("Bearer s3cret", "2", "1")
    assert budget.calls == {"rest": 1}


def test_connections_are_used_again(server, client):
    one = client()
    for _ in range(3):
        one.call("GET", "rest")
    assert (len(server.heard), server.connections) == (3, 1)


def test_an_empty_answer_has_no_body(server, client):
    server.answers = [answer(204)]
    found = client().call("PUT", "rest", form={"a": "b c"})
    assert (found.body, found.text) == (None, "")
    assert server.heard[0].endswith(b"a=b+c")


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (answer(401, b'{"message": "bad token"}'), CredentialRefused, r"refused \(bad token\); renew it"),
        (answer(500), ConnectionDown, "answered 500"),
        (answer(502, b"<html>"), ConnectionDown, "answered 502"),
        (answer(503), ConnectionDown, "answered 503"),
        (answer(302, b"", {"location": "http://127.0.0.1:1/"}), ConnectionDown, "answered 302"),
        (answer(200, b"<html>Sign in</html>"), ConnectionDown, "not JSON"),
        (answer(200, b'"text"'), ConnectionDown, "neither a JSON object nor a list"),
        (answer(200, b'{"a": NaN}'), ConnectionDown, "not JSON"),
        (answer(200, b"[" * 100_000), ConnectionDown, "not JSON"),
        (answer(200, b'{"half": ', length=100), ConnectionDown, "cannot be reached"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", ConnectionDown, "cannot be reached"),
        (b"\x00\x01\x02 what\r\n\r\n", ConnectionDown, "cannot be reached"),
        (RESET, ConnectionDown, "cannot be reached"),
        (answer(200, b'{"a": "' + b"x" * 2000 + b'"}'), ConnectionDown, "larger than we take"),
    ],
)
def test_what_is_no_answer_is_told_once_and_not_repeated(server, client, said, error, words):
    server.answers = [said]
    with pytest.raises(error, match=words) as caught:
        client(size_limit_bytes=1000 if b"xxx" in said else 1_000_000).call("GET", "rest/issue")
    assert len(server.heard) == 1
    assert "s3cret" not in str(caught.value)


def test_silence_is_given_up_in_time(server, client):
    server.answers = [b""]
    with pytest.raises(ConnectionDown):
        client(timeout_seconds=0.3).call("GET", "rest")


@pytest.mark.parametrize("status", [400, 403, 404, 409, 410, 422])
def test_other_refusals_are_the_clients_to_translate(server, client, status):
    server.answers = [answer(status, b'{"errorMessages": ["no such field"], "errors": {"a": "is odd"}}')]
    with pytest.raises(ApiRefusal, match=r"no such field; a: is odd") as caught:
        client().call("GET", "rest")
    assert (caught.value.status, caught.value.body["errors"]) == (status, {"a": "is odd"})
    assert client().call("GET", "rest", accept={status}).status == status


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"retry-after": "17"}, 17),
        (503, {"retry-after": "17"}, 17),
        (429, {"retry-after": "0"}, 0),
        (429, {"retry-after": "-5"}, 0),
        (429, {}, 60),
        (429, {"retry-after": "soon"}, 60),
        (429, {"retry-after": "9" * 40}, 24 * 3600),
        (429, {"retry-after": "Mon, 02 Mar 2026 12:10:00 GMT"}, 600),
        (
            429,
            {"retry-after": "Mon, 02 Mar 2026 13:00:30 GMT", "date": "Mon, 02 Mar 2026 13:00:00 GMT"},
            30,
        ),
    ],
)
def test_throttling_says_until_when_and_the_budget_is_told(server, client, budget, status, headers, seconds):
    server.answers = [answer(status, b"{}", headers)]
    with pytest.raises(Throttled) as caught:
        client().call("GET", "rest", bucket="search")
    assert caught.value.not_before == NOON + timedelta(seconds=seconds)
    [told] = budget.told_so
    assert (told.bucket, told.not_before) == ("search", caught.value.not_before)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining": "41", "x-ratelimit-reset": str(int(NOON.timestamp()) + 90)}, 90),
        ({"ratelimit-remaining": "41", "ratelimit-reset": "90"}, 90),
    ],
)
def test_what_is_left_is_remembered(server, client, budget, headers, seconds):
    server.answers = [answer(200, b"{}", headers)]
    client().call("GET", "rest")
    [told] = budget.told_so
    assert (told.remaining, told.resets_at) == (41, NOON + timedelta(seconds=seconds))


def test_a_provider_has_its_own_signs(server, client, budget):
    def classify(found: ApiAnswer, now) -> DctError | None:
        limited = found.status == 403 and "x-limit" in found.headers
        return Throttled("secondary limit", not_before=now + timedelta(minutes=2)) if limited else None

    server.answers = [answer(403, b"{}", {"x-limit": "1"}), answer(403, b"{}")]
    one = client(rules={"classify": classify})
    with pytest.raises(Throttled, match="secondary limit"):
        one.call("GET", "rest", accept={403})
    assert budget.told_so[0].not_before == NOON + timedelta(minutes=2)
    with pytest.raises(ApiRefusal):
        one.call("GET", "rest")


def test_a_budget_that_is_used_up_makes_no_call(server, client):
    one = client(budget=FakeBudget(FakeClock()), rules={"limits_per_minute": {"search": 1}})
    one.call("GET", "rest", bucket="search")
    with pytest.raises(Throttled):
        one.call("GET", "rest", bucket="search")
    one.call("GET", "rest")
    assert len(server.heard) == 2


def test_a_refused_credential_is_read_anew_and_a_renewed_one_is_tried_once(server, client):
    kept, fresh = ["old"], "new"

    def renew() -> None:
        kept[:] = [fresh]

    server.answers = [answer(401), OK]
    assert client(credential=lambda: kept[0], renew=renew).call("GET", "rest").body == {"ok": True}
    assert [server.headers(at)["authorization"] for at in (0, 1)] == ["Bearer old", "Bearer new"]
    server.answers, kept[:] = [answer(401)], ["old"]
    with pytest.raises(CredentialRefused):
        client(credential=lambda: kept[0], renew=renew).call("GET", "rest")
    assert len(server.heard) == 4


def test_the_same_credential_is_not_tried_twice(server, client):
    server.answers = [answer(401)]
    with pytest.raises(CredentialRefused):
        client().call("GET", "rest")
    assert len(server.heard) == 1


@pytest.mark.parametrize("secret", ["two\nlines", "tab\tbed", "ünïcode", "carriage\r\nx-evil: 1"])
def test_a_credential_that_no_header_can_carry_is_refused_unseen(server, client, secret):
    with pytest.raises(CredentialRefused, match="no header can carry") as caught:
        client(credential=lambda: secret).call("GET", "rest")
    assert secret not in str(caught.value)
    assert server.heard == []


def test_without_a_credential_none_is_sent(server, client):
    client(credential=None).call("GET", "rest")
    assert "authorization" not in server.headers()


@pytest.mark.parametrize(
    "path",
    [
        "http://127.0.0.1:1/jira/rest",
        "http://evil.example/jira/rest?next=2",
        "https://127.0.0.1/jira/rest",
        "http://127.0.0.1:{port}/jirafaked/rest",
        "http://127.0.0.1:{port}/jira@evil.example/",
        "http://127.0.0.1:{port}/jira/rest#fragment",
    ],
)
def test_a_next_page_elsewhere_is_not_asked_for(server, client, path):
    with pytest.raises(ConnectionDown, match="points elsewhere") as caught:
        client().call("GET", path.format(port=server.port))
    assert (server.heard, type(caught.value)) == ([], ConnectionDown)


def test_a_next_page_below_the_base_is_asked_for_as_it_stands(server, client):
    client().call("GET", f"{server.url}/jira/rest/next?cursor=a%2Fb", query={"max": "5"})
    assert server.heard[0].startswith(b"GET /jira/rest/next?cursor=a%2Fb&max=5 HTTP/1.1\r\n")


@pytest.mark.parametrize("part", ["..", "%2e%2e", "a/%2E%2e/b", ".", "..\\x", "%2e%2e%5cx", "%2e%2e%2fx"])
def test_a_name_that_leads_out_of_its_place_is_nobodys_name(server, client, part):
    with pytest.raises(ApiRefusal) as caught:
        client().call("GET", f"rest/issue/{part}")
    assert (caught.value.status, server.heard) == (404, [])


def test_this_machine_is_not_called_unless_the_connection_may(server, client):
    with pytest.raises(AddressRefused, match=r"tickets: .* private network"):
        client(allow_private_network=False).call("GET", "rest")
    assert server.connections == 0
