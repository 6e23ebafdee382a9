"""The ways that messages go: the operator's webhook, and channels of manifests by their names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dct_pipelines.domain.alerts import AlertMessage, AlertPort
from dct_pipelines.domain.channels import ChannelSpec, OutboxChannel, SmtpChannel, WebhookChannel
from dct_pipelines.domain.errors import ActionInterrupted, InvalidInput, Unconfirmed
from dct_pipelines.domain.notices import channel_of
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.ports import ChannelPort

log = logging.getLogger(__name__)
WEBHOOK = "ALERT_WEBHOOK_URL"
"""The destination that is its address, no name of a channel; others are `channel` or `channel:receiver`."""
EARLIER = "webhook"
"""The same, as earlier releases wrote it. A channel of that name is always written with a receiver."""


@dataclass(frozen=True)
class Ways:
    """Sends each message the way that its destination says."""

    webhook: AlertPort | None
    channels: Callable[[], Mapping[str, ChannelPort]]

    def send(self, message: AlertMessage) -> None:
        """Tell it; an error when it may not have arrived."""
        if message.destination in (WEBHOOK, EARLIER):
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
        receipt = channel_of(name, self.channels()).send(notification)
        if receipt.state == "uncertain":
            raise Unconfirmed(f"{receipt.detail}; it may have arrived, so it is not sent again: ask there")


def destinations(
    has_webhook: bool, wanted: Iterable[str], find: Callable[[str], ChannelSpec | None]
) -> list[str]:
    """Everybody who is told: the webhook, and of each channel the receiver that is named with it, or all.

    A channel that is not defined, or cannot be read, stays one: its messages are tried again until it is, or
    are given up.
    """
    found = [WEBHOOK] if has_webhook else []
    for one in wanted:
        name, _, receiver = one.partition(":")
        spec = None if receiver else _readable(find, name)
        found += [f"{name}:{to}" for to in _named(spec)] or [one if one != EARLIER else f"{name}:{name}"]
    return list(dict.fromkeys(found))


def _readable(find: Callable[[str], ChannelSpec | None], name: str) -> ChannelSpec | None:
    """One channel that nobody can read keeps nobody from hearing of incidents over the others."""
    try:
        return find(name)
    except InvalidInput as error:
        log.warning("%s; what is told there is tried again until it can be", error)
        return None


def _named(spec: ChannelSpec | None) -> list[str]:
    """The receivers that it names one by one: not `*`, and of mail no `@domain`, while Slack has `@user`."""
    if spec is None or isinstance(spec, WebhookChannel | OutboxChannel):
        return []
    has_domains = isinstance(spec, SmtpChannel)
    return [to for to in spec.receivers if to != "*" and not (has_domains and to.startswith("@"))]
