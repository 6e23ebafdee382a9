"""A notification as blocks: text from outside stays text, nobody is called by it, and long texts are cut.

Sources: https://docs.slack.dev/messaging/formatting-message-text (escaping),
https://docs.slack.dev/reference/block-kit/composition-objects/text-object (`verbatim`: no names are linked)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dct_pipelines.domain.chat.messages import BLOCK_MARK, MARK
from dct_pipelines.domain.operations import Notification

LONGEST_HEADER = 150
LONGEST_SECTION = 2900
MOST_SECTIONS = 12
LONGEST_SHORT = 1000
_ADDRESS = re.compile(r"https?://[^\s<>|`*]{1,2000}")
CUT = "… (cut)"


def escaped(text: str) -> str:
    """Text as mrkdwn that shows it as it is; web addresses become links, and nothing else does."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _ADDRESS.sub(lambda found: f"<{found[0]}>", text)


def content_of(notification: Notification) -> dict[str, Any]:
    """The text, the blocks and the mark of a message. The text is what notifications on phones show."""
    sections = list(_sections(notification.text))
    if len(sections) > MOST_SECTIONS:
        sections = [*sections[:MOST_SECTIONS], CUT]
    blocks: list[dict[str, Any]] = []
    if notification.subject:
        header = _cut(notification.subject, LONGEST_HEADER)
        blocks.append({"type": "header", "text": {"type": "plain_text", "text": header, "emoji": False}})
    blocks += [
        {"type": "section", "text": {"type": "mrkdwn", "text": escaped(part), "verbatim": True}}
        for part in sections
    ]
    blocks[0]["block_id"] = f"{BLOCK_MARK}{notification.idempotency_key}"[:255]
    short = _cut(f"{notification.subject}: {notification.text}", LONGEST_SHORT)
    return {
        "text": escaped(short),
        "blocks": blocks,
        "metadata": {"event_type": MARK, "event_payload": {"key": notification.idempotency_key}},
    }


def _sections(text: str) -> Iterator[str]:
    """Parts that fit a block also when every character of them has to be escaped, broken between lines."""
    rest = text.strip() or "(no text)"
    while rest:
        end = _end_of_part(rest)
        part, rest = rest[:end].rstrip(), rest[end:].lstrip("\n")
        if part:
            yield part


def _end_of_part(text: str) -> int:
    room, end = LONGEST_SECTION, len(text)
    for place, character in enumerate(text):
        room -= {"&": 5, "<": 4, ">": 4}.get(character, 1)
        if character == ":":
            # An address gets angle brackets.
            room -= 2
        if room < 0:
            end = place
            break
    if end == len(text):
        return end
    line = text.rfind("\n", end // 2, end)
    return line if line > 0 else end


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
