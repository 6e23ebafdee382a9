"""Alerts by one POST of JSON to the address of `ALERT_WEBHOOK_URL`.

`text` is what Slack, Mattermost and Teams show of such a message; the other keys are for programs.
"""

from __future__ import annotations

from collections.abc import Callable

from dct_pipelines.clients.webhook import SignedPost
from dct_pipelines.domain.alerts import Alert

TIMEOUT_SECONDS = 5.0


class WebhookAlerts:
    """Posts alerts; `address` gives the URL, None where nobody wants them."""

    def __init__(self, post: SignedPost, address: Callable[[], str | None]) -> None:
        self._post = post
        self._address = address

    def send(self, alert: Alert) -> None:
        """Post it once. The operator's own address may be in a private network."""
        url = self._address()
        if url is None:
            return
        at = alert.at.isoformat()
        self._post.send(
            url,
            {
                "text": alert.text,
                "type": alert.kind,
                "connection": alert.connection,
                "connection_type": alert.connection_type,
                "detail": alert.detail,
                "at": at,
            },
            key=f"{alert.kind}:{alert.connection}:{at}",
            secret=None,
            allow_private_network=True,
            timeout_seconds=TIMEOUT_SECONDS,
        )
