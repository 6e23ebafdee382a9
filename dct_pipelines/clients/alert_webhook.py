"""Messages about incidents by one signed POST of JSON to the address of `ALERT_WEBHOOK_URL`.

`text` is what Slack, Mattermost and Teams show of such a message, escaped: words from outside call
nobody there. The other keys are for programs, as they are. `id` is the same in every attempt, also as
`Idempotency-Key`.
"""

from __future__ import annotations

from html import escape

from dct_pipelines.clients.webhook import SignedPost
from dct_pipelines.domain.alerts import AlertMessage

TIMEOUT_SECONDS = 5.0


class WebhookAlerts:
    """Posts messages to one address; `secret` is a reference to what they are signed with, if at all."""

    def __init__(self, post: SignedPost, url: str, secret: str | None) -> None:
        self._post = post
        self._url = url
        self._secret = secret

    def send(self, message: AlertMessage) -> None:
        """Post it. The operator's own address may be in a private network."""
        payload = {
            "text": escape(message.text, quote=False),
            "type": message.kind.value,
            "id": str(message.id),
            "at": message.at.isoformat(),
            "incidents": list(message.incidents),
        }
        self._post.send(
            self._url,
            payload,
            key=str(message.id),
            secret=self._secret,
            allow_private_network=True,
            timeout_seconds=TIMEOUT_SECONDS,
        )
