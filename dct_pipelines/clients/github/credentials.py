"""What GitHub is shown: a token as it is, or, for a GitHub App, one that its private key gets for an hour.

https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, StrictStr

from dct_pipelines.clients.answers import parsed
from dct_pipelines.clients.api import ApiClient, ApiRefusal, ApiRules
from dct_pipelines.domain.connected import Endpoint
from dct_pipelines.domain.errors import CredentialRefused
from dct_pipelines.domain.ports import Clock

RENEW_BEFORE = timedelta(minutes=5)
"""A token is renewed so long before its hour is over: a call and a fetch have to end with it."""
JWT_LIFE = timedelta(minutes=9)
JWT_BACKDATED = timedelta(seconds=60)
"""GitHub's clock may be behind ours; it takes ten minutes at most in all."""


class _Issued(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    token: StrictStr
    expires_at: AwareDatetime


@dataclass
class Credentials:
    """Of one connection; `rest` is where GitHub's REST is. Threads share it."""

    endpoint: Endpoint
    clock: Clock
    rest: str
    _issued: _Issued | None = field(default=None, repr=False)
    _issued_for: str = field(default="", repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_app(self) -> bool:
        """Whether the credential is the private key of a GitHub App."""
        return bool(self.endpoint.config.get("app_id"))

    def headers(self, secret: str) -> Mapping[str, str]:
        """For a call."""
        return {"authorization": f"Bearer {self.token(secret)}"}

    def for_git(self) -> str:
        """The password that git shows; the user's name does not matter."""
        if self.endpoint.credential is None:
            raise CredentialRefused(f"connection {self.endpoint.name} has no credential; set one")
        return self.token(self.endpoint.credential())

    def token(self, secret: str) -> str:
        """The token for this secret."""
        if not self.is_app:
            return secret
        with self._lock:
            issued, now = self._issued, self.clock.now()
            if issued is None or self._issued_for != secret or issued.expires_at - now < RENEW_BEFORE:
                issued = self._issue(secret)
                self._issued, self._issued_for = issued, secret
            return issued.token

    def forget(self) -> None:
        """It was refused: the next call gets another one."""
        self._issued = None

    def _issue(self, key: str) -> _Issued:
        app_id = str(self.endpoint.config["app_id"])
        installation = str(self.endpoint.config.get("installation_id", ""))
        rules = ApiRules(
            authorize=lambda pem: {"authorization": f"Bearer {app_jwt(app_id, pem, self.clock.now())}"},
            headers={"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"},
        )
        client = ApiClient(self.endpoint, rules, self.clock, api_base=self.rest)
        path = f"app/installations/{quote(installation, safe='')}/access_tokens"
        try:
            answer = client.call("POST", path)
        except ApiRefusal as refusal:
            raise CredentialRefused(
                f"{refusal.message}; correct app_id, installation_id or the app's private key"
            ) from refusal
        finally:
            client.close()
        return parsed(_Issued, answer.body, f"{self.endpoint.name}: a token for the installation")


def app_jwt(app_id: str, pem: str, now: datetime) -> str:
    """What an app proves with that it has its private key: a token signed by RS256."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise CredentialRefused(
            "the credential of a GitHub App is its private key (PEM, RSA, without a password)"
        )
    times = {"iat": int((now - JWT_BACKDATED).timestamp()), "exp": int((now + JWT_LIFE).timestamp())}
    head = _part({"alg": "RS256", "typ": "JWT"})
    signed = f"{head}.{_part({'iss': app_id, **times})}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_text(signature)}"


def _part(content: Mapping[str, object]) -> str:
    return _text(json.dumps(content, separators=(",", ":")).encode())


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
