"""A Slack message or an email arrived."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field

from dct_pipelines.domain.condition import ConditionType, expect
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.matching import Name, fold, shown
from dct_pipelines.domain.payloads import MessagePosted
from dct_pipelines.domain.snapshot import Snapshot, ThreadState
from dct_pipelines.domain.text_rules import TextRules, judge_text
from dct_pipelines.domain.verdict import Verdict, no
from dct_pipelines.domain.words import ItemKind


class NewMessage(TextRules):
    """By whom, how long, with which words, under which subject, in a thread or not."""

    subject: Name | None = Field(default=None, description="this is somewhere in the subject")
    in_thread: bool | None = Field(default=None, description="only answers (true) or only first messages")


def _where(config: NewMessage, subject: str | None, in_thread: bool) -> str | None:
    """Why the message is not where it should be, or None."""
    if config.subject is not None and fold(config.subject) not in fold(subject or ""):
        has = f"has the subject {shown(subject)!r}" if subject else "has no subject"
        return f"{has}, which does not contain {config.subject!r}"
    if config.in_thread is not None and config.in_thread != in_thread:
        return "is in a thread" if in_thread else "is not in a thread"
    return None


def _test(config: NewMessage, event: Event) -> Verdict:
    message = expect(event.payload, MessagePosted)
    if fault := _where(config, message.subject, message.in_thread):
        return no(f"message by {shown(str(message.author))} {fault}")
    return judge_text("message", config, message.author, message.text)


def _is_true(config: NewMessage, snapshot: Snapshot, _at: datetime) -> Verdict:
    thread = expect(snapshot.state, ThreadState)
    if thread.last_message_id is None:
        return no("nobody has written")
    if fault := _where(config, thread.subject, thread.in_thread):
        return no(f"the last message {fault}")
    return judge_text("last message", config, thread.last_author, thread.last_text)


CONDITION = ConditionType(
    kind="new_message",
    summary="a Slack message or an email arrives",
    config=NewMessage,
    item_kinds=frozenset(
        {ItemKind.SLACK_CHANNEL, ItemKind.SLACK_MESSAGE, ItemKind.MAILBOX, ItemKind.EMAIL_THREAD}
    ),
    event_kinds=frozenset({"message_posted"}),
    state_kinds=frozenset({"thread"}),
    test=_test,
    is_true=_is_true,
    example={"contains_keywords": ["deploy"], "in_thread": False},
)
