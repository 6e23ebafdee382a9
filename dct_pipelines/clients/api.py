"""A provider's REST or GraphQL interface: one guarded, counted, bounded call at a time, which never sleeps.

Every provider's client is built on `ApiClient`, because what must hold of a call holds of all of them: the
credential is read anew and sent to its own base only, the budget of the credential is asked first, nothing is
redirected or repeated, and each failure becomes the error that says who has to wait (decision 0010).
"""

from __future__ import annotations

import json as json_format
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlencode, urlsplit

from dct_pipelines.clients.api_signs import clock_offset_seconds, left_of, retry_at, said
from dct_pipelines.clients.echoes import without, without_bytes
from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.clients.http import Answer, HttpClient
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.errors import (
    ActionFailed,
    ActionInterrupted,
    AddressRefused,
    ConnectionDown,
    CredentialRefused,
    DctError,
    Throttled,
)
from dct_pipelines.domain.ports import Clock

TIMEOUT_SECONDS = 20.0
SIZE_LIMIT_BYTES = 16 * 1024 * 1024
Query = Sequence[tuple[str, str]] | Mapping[str, str]
_UNAUTHORIZED = 401
_TOO_MANY = 429
_UNAVAILABLE = 503


@dataclass(frozen=True)
class ApiAnswer:
    """What a provider said. `body` is its JSON (an object or a list), None when it was empty.

    `headers` have lower-case names. `date_offset_seconds` is the provider's clock minus ours.
    """

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str
    date_offset_seconds: float | None


class ApiRefusal(Exception):
    """A 4xx that the caller did not expect; clients make an error of the domain of it."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str], message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.headers = headers
        self.message = message


Classify = Callable[[ApiAnswer, datetime], DctError | None]


def _as_usual(_answer: ApiAnswer, _now: datetime) -> DctError | None:
    return None


@dataclass(frozen=True)
class ApiRules:
    """What differs between providers.

    `authorize` makes headers of the secret. `classify` knows the provider's own signs, e.g. a refusal within
    a 200: an error that it returns is raised, before anything else is made of the answer. `limits_per_minute`
    are the calls that each bucket of the budget allows.
    """

    authorize: Callable[[str], Mapping[str, str]]
    classify: Classify = _as_usual
    headers: Mapping[str, str] = field(default_factory=dict)
    limits_per_minute: Mapping[str, int] = field(default_factory=dict)


class ApiClient:
    """Calls one provider through one connection. `api_base` is where its interface is, if not at the base.

    Threads may share it; connections are kept open between calls for some seconds.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        rules: ApiRules,
        clock: Clock,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        size_limit_bytes: int = SIZE_LIMIT_BYTES,
        api_base: str | None = None,
        guard: AddressGuard | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._rules = rules
        self._clock = clock
        self._base = (api_base or endpoint.base).rstrip("/")
        self._http = HttpClient(
            guard or AddressGuard(allow_private_network=endpoint.allow_private_network),
            timeout_seconds=timeout_seconds,
            size_limit_bytes=size_limit_bytes,
            keep_alive=True,
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Query = (),
        json: Any = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        bucket: str = "rest",
        accept: Collection[int] = (),
        timeout_seconds: float | None = None,
    ) -> ApiAnswer:
        """One request; the answer is 2xx or one of `accept`.

        `path` is below the base, with its variable parts quoted (`quote(part, safe="")`); a URL is taken too
        when it lies below the base, e.g. the next page. `CredentialRefused`: 401, also after the credential
        (or what is got by it) was read anew. `Throttled`: 429, a 503 that says until when, the budget.
        `ConnectionDown`: 5xx, no answer, half of one, no JSON. `AddressRefused`: the base leads where it may
        not. `ApiRefusal`: others.
        """
        where = self._url(path, query)
        content, sent = _content(json, form)
        sent = {
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": "dct-pipelines",
        } | sent
        sent |= {name.lower(): value for name, value in {**self._rules.headers, **(headers or {})}.items()}
        shown: list[Mapping[str, str]] = []

        def once(secret: str | None) -> ApiAnswer:
            self._endpoint.budget.take(bucket, self._rules.limits_per_minute.get(bucket))
            authorized = self._authorized(secret)
            shown.append(authorized)
            answer = self._send(method, where, sent | authorized, content, timeout_seconds)
            own = () if secret is None else (secret, *(value.split()[-1] for value in authorized.values()))
            return self._judged(method, path, _without(answer, own), bucket, accept)

        read = self._endpoint.credential
        if read is None:
            return once(None)
        secret = read()
        try:
            return once(secret)
        except CredentialRefused:
            self._endpoint.renew()
            renewed = read()
            if renewed == secret and (not shown or self._authorized(renewed) == shown[-1]):
                raise
        return once(renewed)

    def close(self) -> None:
        """Close the connections that were kept open."""
        self._http.close()

    def _url(self, path: str, query: Query) -> str:
        if "://" in path.partition("?")[0]:
            if not path.startswith((f"{self._base}/", f"{self._base}?")) or "#" in path:
                raise ConnectionDown(f"{self._endpoint.name}: an address in an answer points elsewhere")
            url = path
        else:
            url = f"{self._base}/{path.lstrip('/')}"
        parts = unquote(urlsplit(url).path).replace("\\", "/").split("/")
        if "." in parts or ".." in parts:
            raise ApiRefusal(404, None, {}, f"{self._endpoint.name}: there is nothing of that name")
        pairs = urlencode(list(query.items() if isinstance(query, Mapping) else query))
        return url if not pairs else f"{url}{'&' if '?' in url else '?'}{pairs}"

    def _authorized(self, secret: str | None) -> dict[str, str]:
        if secret is None:
            return {}
        headers = {name.lower(): value for name, value in self._rules.authorize(secret).items()}
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            name = self._endpoint.name
            raise CredentialRefused(f"{name}: the credential holds what no header can carry; correct it")
        return headers

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes, timeout_seconds: float | None
    ) -> Answer:
        name = self._endpoint.name
        try:
            answer = self._http.send(method, url, headers, content, timeout_seconds=timeout_seconds)
        except ActionInterrupted as error:
            raise ConnectionDown(f"{name}: {error}") from error
        except ActionFailed as error:
            raise AddressRefused(f"{name}: {error}") from error
        if answer.is_cut:
            raise ConnectionDown(f"{name}: an answer to {method} is larger than we take; it is tried again")
        return answer

    def _judged(self, method: str, path: str, raw: Answer, bucket: str, accept: Collection[int]) -> ApiAnswer:
        now = self._clock.now()
        answer, fault = _parsed(raw, now)
        what = f"{self._endpoint.name}: {method} {path.partition('?')[0]}"
        error = self._rules.classify(answer, now) or self._usual(what, answer, fault, accept, now)
        budget = self._endpoint.budget
        if isinstance(error, Throttled):
            budget.told(bucket, not_before=error.not_before)
        elif left := left_of(answer.headers, now):
            budget.told(bucket, remaining=left.remaining, resets_at=left.resets_at)
        if error is not None:
            raise error
        return answer

    def _usual(
        self, what: str, answer: ApiAnswer, fault: str | None, accept: Collection[int], now: datetime
    ) -> DctError | None:
        """What an answer means at every provider; `ApiRefusal` is raised as it is none of the domain's."""
        status = answer.status
        if status in accept:
            return None
        if status == _UNAUTHORIZED:
            return CredentialRefused(f"{what}: the credential was refused{said(answer.body)}; renew it")
        if status == _TOO_MANY or (status == _UNAVAILABLE and "retry-after" in answer.headers):
            until = retry_at(answer.headers, now)
            return Throttled(f"{what}: answered {status}, wait until {until:%H:%M:%S} UTC", not_before=until)
        if 400 <= status < 500:
            message = f"{what}: answered {status}{said(answer.body)}"
            raise ApiRefusal(status, answer.body, answer.headers, message)
        if not 200 <= status < 300:
            return ConnectionDown(f"{what}: answered {status}; it is tried again")
        return ConnectionDown(f"{what}: {fault}; it is tried again") if fault else None


def _without(answer: Answer, secrets: Sequence[str]) -> Answer:
    headers = {name: without(value, secrets) for name, value in answer.headers.items()}
    return replace(answer, body=without_bytes(answer.body, secrets), headers=headers)


def _content(json: Any, form: Mapping[str, str] | None) -> tuple[bytes, dict[str, str]]:
    if json is not None:
        text = json_format.dumps(json, separators=(",", ":"), allow_nan=False)
        return text.encode(), {"content-type": "application/json"}
    if form is not None:
        return urlencode(form).encode(), {"content-type": "application/x-www-form-urlencoded"}
    return b"", {}


def _parsed(raw: Answer, now: datetime) -> tuple[ApiAnswer, str | None]:
    """The answer with its JSON, and why there is none where some was promised."""
    text = raw.body.decode("utf-8", "replace")
    body, fault = _json(text) if text.strip() else (None, None)
    offset = clock_offset_seconds(raw.headers, now)
    return ApiAnswer(raw.status, raw.headers, body, text, offset), fault


def _json(text: str) -> tuple[Any, str | None]:
    try:
        body = json_format.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None, "the answer is not JSON"
    if not isinstance(body, (dict, list)):
        return None, "the answer is neither a JSON object nor a list"
    return body, None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
