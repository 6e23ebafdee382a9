"""Access tokens of an application that acts for itself (OAuth 2.0 client credentials, RFC 6749 section 4.4).

A token is kept in memory until shortly before its end, never stored, never logged.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from dct_pipelines.clients.echoes import without
from dct_pipelines.clients.http import HttpClient
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, ConnectionDown, CredentialRefused
from dct_pipelines.domain.ports import Clock

EARLY = timedelta(minutes=2)
"""So long before its end a token is fetched anew."""
SHORTEST = timedelta(seconds=30)
USUAL_SECONDS = 300
_REFUSED = frozenset({400, 401, 403})


@dataclass(frozen=True)
class TokenRequest:
    """Where tokens are issued, to whom, for what."""

    url: str
    client_id: str
    scope: str | None = None


class AccessTokens:
    """Fetches tokens with the client's secret, which is given at each call."""

    def __init__(self, request: TokenRequest, http: HttpClient, clock: Clock) -> None:
        self._request = request
        self._http = http
        self._clock = clock
        self._lock = threading.Lock()
        self._known: tuple[str, str, datetime] | None = None

    def token(self, secret: str) -> str:
        """A token that is good for a while."""
        with self._lock:
            now = self._clock.now()
            if self._known is not None and self._known[0] == secret and now < self._known[2]:
                return self._known[1]
            token, seconds = self._fetch(secret)
            until = now + max(timedelta(seconds=seconds) - EARLY, SHORTEST)
            self._known = (secret, token, until)
            return token

    def forget(self) -> None:
        """Do not use the known token again: it was refused."""
        with self._lock:
            self._known = None

    def _fetch(self, secret: str) -> tuple[str, float]:
        request = self._request
        form = {"grant_type": "client_credentials", "client_id": request.client_id, "client_secret": secret}
        if request.scope:
            form["scope"] = request.scope
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        try:
            answer = self._http.send("POST", request.url, headers, urlencode(form).encode())
        except ActionInterrupted as error:
            raise ConnectionDown(f"no access token: {error}") from error
        except ActionFailed as error:
            raise CredentialRefused(f"no access token: {error}; correct token_url") from error
        body = _object(answer.body)
        if answer.status in _REFUSED:
            why = without(str(body.get("error") or answer.status), (secret,))[:100]
            raise CredentialRefused(
                f"{request.url} refused the client's secret ({why}); renew it, or correct client_id and scope"
            )
        token = body.get("access_token")
        if (
            not answer.is_success
            or not isinstance(token, str)
            or not token.isascii()
            or not token.isprintable()
        ):
            raise ConnectionDown(
                f"{request.url} gave no access token (status {answer.status}); it is tried again"
            )
        return token, _seconds(body.get("expires_in"))


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _seconds(value: Any) -> float:
    try:
        return max(0.0, min(float(value), 86_400.0))
    except (TypeError, ValueError):
        return USUAL_SECONDS
