"""The ways that messages go: the operator's webhook, and channels of manifests by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dct_pipelines.domain.alerts import AlertMessage, AlertPort
from dct_pipelines.domain.channels import ChannelSpec, OutboxChannel, WebhookChannel
from dct_pipelines.domain.errors import ActionInterrupted
from dct_pipelines.domain.notices import channel_of
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.ports import ChannelPort

WEBHOOK = "webhook"
"""The destination that is the address of `ALERT_WEBHOOK_URL`; others are `channel` or `channel:receiver`."""


@dataclass(frozen=True)
class Ways:
    """Sends each message the way that its destination says."""

    webhook: AlertPort | None
    channels: Callable[[], Mapping[str, ChannelPort]]

    def send(self, message: AlertMessage) -> None:
        """Tell it; an error when it may not have arrived."""
        if message.destination == WEBHOOK:
            if self.webhook is None:
                raise ActionInterrupted("ALERT_WEBHOOK_URL is not set any more")
            self.webhook.send(message)
            return
        name, _, receiver = message.destination.partition(":")
        notification = Notification(
            channel=name,
            receiver=receiver or name,
            subject=message.subject,
            text=message.text,
            idempotency_key=str(message.id),
            facts={"type": message.kind.value, "incidents": list(message.incidents)},
            is_repeat=message.attempts > 1,
        )
        channel_of(name, self.channels()).send(notification)


def destinations(
    has_webhook: bool, wanted: Iterable[str], find: Callable[[str], ChannelSpec | None]
) -> list[str]:
    """Everybody who is told: the webhook, and of each channel the receiver that is named with it, or all.

    A channel that is not defined stays one: its messages are tried again until it is, or are given up.
    """
    found = [WEBHOOK] if has_webhook else []
    for one in wanted:
        name, _, receiver = one.partition(":")
        spec = None if receiver else find(name)
        if spec is None or isinstance(spec, WebhookChannel | OutboxChannel):
            found.append(one)
        else:
            single = [to for to in spec.receivers if to != "*" and not to.startswith("@")]
            found += [f"{name}:{to}" for to in single] or [one]
    return list(dict.fromkeys(found))
