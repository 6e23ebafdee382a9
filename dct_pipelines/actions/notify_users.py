"""Tells people (or systems) what happened, over Slack, mail, signed webhooks, or the file outbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal
from uuid import UUID, uuid5

from pydantic import Field

from dct_pipelines.domain.action import ActionConfig, ActionContext, ActionType, Recovery
from dct_pipelines.domain.errors import ActionInterrupted
from dct_pipelines.domain.notices import Sending, channel_of
from dct_pipelines.domain.operations import Notification
from dct_pipelines.domain.outcome import Outcome
from dct_pipelines.domain.ports import ActionPorts

LONGEST_SUBJECT = 200
_UPDATES = UUID("6f1c2f2e-6d1a-4c55-9f0e-7c5d1a1f6a11")


class Target(ActionConfig):
    """Whom to tell over one channel. A webhook has one receiver: `to` stays empty."""

    channel: str
    to: tuple[str, ...] = Field(default=(), max_length=50)
    subject: str | None = None
    text: str | None = None
    thread: str | None = None
    """Answer there: a message's id, as `event.thread` or `steps.<name>.thread` give it. Slack and mail."""
    update: bool | Literal["trigger"] = False
    """Replace the message that this execution (or, with `trigger`, this trigger) sent there. Slack only."""


class NotifyUsersConfig(ActionConfig):
    """`subject` and `text` are for every channel that has none of its own."""

    channels: tuple[Target, ...] = Field(min_length=1, max_length=20)
    subject: str
    text: str
    facts: dict[str, str] = Field(default_factory=dict)
    """More data for receivers that are programs."""


def run(context: ActionContext, config: NotifyUsersConfig, ports: ActionPorts) -> Outcome:
    """Send each once; the same receiver is never told twice by one action, in whatever attempt."""
    notifications = {notification.idempotency_key: notification for notification in _each(context, config)}
    channels = {target.channel: channel_of(target.channel, ports.channels) for target in config.channels}
    sending = Sending()
    for notification in notifications.values():
        if context.is_cancelled():
            raise ActionInterrupted(f"cancelled after telling {len(sending.sent)}")
        sending.add(channels[notification.channel], notification)
    return sending.outcome(list(notifications))


def _each(context: ActionContext, config: NotifyUsersConfig) -> Iterator[Notification]:
    facts = {
        "execution_id": str(context.execution_id),
        "action": context.name,
        "trigger": context.trigger_name,
        "subject": context.subject,
        **config.facts,
    }
    for target in config.channels:
        for receiver in target.to or (target.channel,):
            key = uuid5(context.execution_id, f"{context.idempotency_key}\0{target.channel}\0{receiver}")
            yield Notification(
                channel=target.channel,
                receiver=receiver,
                subject=one_line(config.subject if target.subject is None else target.subject),
                text=config.text if target.text is None else target.text,
                idempotency_key=str(key),
                facts=facts,
                thread=target.thread or None,
                update_key=_update_key(context, target, receiver),
                is_repeat=context.started_before,
            )


def _update_key(context: ActionContext, target: Target, receiver: str) -> str | None:
    """What messages have in common that replace each other."""
    if target.update is False:
        return None
    whose = context.trigger_name if target.update == "trigger" else str(context.execution_id)
    return str(uuid5(_UPDATES, f"{whose}\0{target.channel}\0{receiver}\0{target.thread or ''}"))


def one_line(text: str) -> str:
    """A subject without line breaks, at most `LONGEST_SUBJECT` characters long."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_SUBJECT else line[: LONGEST_SUBJECT - 1] + "…"


ACTION = ActionType(
    kind="notify_users",
    summary="Tells people over Slack, mail, signed webhooks, or the file outbox.",
    config=NotifyUsersConfig,
    recovery=Recovery.KEY,
    run=run,
    outputs=frozenset({"sent", "keys", "unreached", "messages", "thread"}),
    example={
        "channels": [{"channel": "outbox", "to": ["testers"]}],
        "subject": "{{ event.branch }} is on qa",
        "text": "{{ trigger.name }} deployed {{ steps.deploy_environment.commit | short }}.",
    },
)
