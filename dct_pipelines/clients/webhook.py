"""Signed POSTs to other systems, as https://www.standardwebhooks.com says, and the channel built on them.

The receiver deduplicates by `webhook-id` (also sent as `Idempotency-Key`): it is the same in every attempt.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.clients.http import Answer, HttpClient
from dct_pipelines.domain.at_work import at_work
from dct_pipelines.domain.channels import WebhookChannel
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.ports import Clock, Receipt, SecretsPort
from dct_pipelines.domain.signing import sign
from dct_pipelines.domain.tracing import traceparent

_PASSING = frozenset({408, 425, 429})
"""Statuses below 500 that ask for another attempt."""
_KNOWN_ALREADY = 208


class SignedPost:
    """Posts JSON with our idempotency key and, where there is a secret, a signature over it.

    Connections are used again for a few seconds, but one that a private network was allowed for never by a
    definition that must not go there. `is_traced`: the receiver is told the trace of the action that asks.
    """

    def __init__(self, secrets: SecretsPort, clock: Clock, *, is_traced: bool = False) -> None:
        self._secrets = secrets
        self._clock = clock
        self._is_traced = is_traced
        self._clients = {
            allowed: HttpClient(AddressGuard(allow_private_network=allowed), keep_alive=True)
            for allowed in (False, True)
        }

    def send(
        self,
        url: str,
        payload: Mapping[str, Any],
        *,
        key: str,
        secret: str | None,
        allow_private_network: bool,
        timeout_seconds: float,
    ) -> Answer:
        """The answer when it is 2xx; `ActionInterrupted` when it may be tried again, else `ActionFailed`."""
        body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
        timestamp = int(self._clock.now().timestamp())
        headers = {
            "content-type": "application/json",
            "user-agent": "dct-pipelines",
            "webhook-id": key,
            "webhook-timestamp": str(timestamp),
            "idempotency-key": key,
        }
        if secret:
            headers["webhook-signature"] = sign(self._secrets.read(secret), key, timestamp, body)
        if self._is_traced and (work := at_work()) is not None and (trace := traceparent(work)) is not None:
            headers["traceparent"] = trace
        client = self._clients[allow_private_network]
        answer = client.send("POST", url, headers, body, timeout_seconds=timeout_seconds)
        if answer.is_success:
            return answer
        if answer.status >= 500 or answer.status in _PASSING:
            raise ActionInterrupted(f"the webhook answered {answer.status}; it is tried again")
        raise ActionFailed(
            f"the webhook answered {answer.status}; check its address, secret and receiver's log"
        )


class WebhookChannelClient:
    """A channel whose only receiver is the system behind one address."""

    def __init__(self, spec: WebhookChannel, post: SignedPost) -> None:
        self._spec = spec
        self._post = post

    def send(self, notification: Notification) -> Receipt:
        """Post the notification; 208 is the receiver's word for having it already."""
        answer = self._post.send(
            self._spec.url,
            {"type": "notification", **notification.model_dump(mode="json")},
            key=notification.idempotency_key,
            secret=self._spec.secret,
            allow_private_network=self._spec.allow_private_network,
            timeout_seconds=self._spec.timeout_seconds,
        )
        if answer.status == _KNOWN_ALREADY:
            return Receipt("duplicate", "the receiver had it already")
        return Receipt("sent", f"answered {answer.status}")
