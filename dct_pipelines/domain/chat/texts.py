"""What a reader sees of a message, as plain text: blocks, else the text in mrkdwn, then attachments.

Mentions stay readable (`@U1`, `#general`, `@here`), links keep their address, `&amp;` is unescaped.
Sources: https://docs.slack.dev/messaging/formatting-message-text , https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dct_pipelines.domain.text_rules import LONGEST_TEXT

_REFERENCE = re.compile(r"<([^<>|\n]{1,4000})(?:\|([^<>\n]{0,4000}))?>")
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&"))
_DEEPEST = 8
_MOST_PARTS = 200
_INLINE = frozenset({"rich_text_section", "rich_text_preformatted", "rich_text_quote"})


def plain_text(raw: Mapping[str, Any]) -> str:
    """The text of a message as its readers see it, cut at `LONGEST_TEXT` characters."""
    blocks = "\n".join(part for part in _blocks(raw.get("blocks"), 0) if part)
    body = blocks or from_mrkdwn(_text(raw.get("text")))
    attached = "\n".join(part for part in _attachments(raw.get("attachments")) if part)
    return "\n".join(part for part in (body, attached) if part)[:LONGEST_TEXT]


def from_mrkdwn(text: str) -> str:
    """mrkdwn with its references made readable and its entities unescaped; marks like `*` stay."""
    text = _REFERENCE.sub(_readable, text[: 2 * LONGEST_TEXT])
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    return text


def _readable(match: re.Match[str]) -> str:
    target, label = match[1], match[2]
    sign, name = target[0], target[1:]
    if sign in "@#":
        return f"{sign}{label or name}"
    if sign == "!":
        word = label or name.partition("^")[0]
        return word if word.startswith("@") else f"@{word}"
    address = target.removeprefix("mailto:").removeprefix("tel:")
    return address if label in (None, "", address, target) else f"{label} ({address})"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _parts(value: Any) -> list[Mapping[str, Any]]:
    listed = value[:_MOST_PARTS] if isinstance(value, list) else []
    return [part for part in listed if isinstance(part, Mapping)]


def _blocks(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    for block in _parts(value):
        kind = str(block.get("type"))
        if kind in _INLINE:
            yield "".join(_inline(part) for part in _parts(block.get("elements")))
        elif kind in ("rich_text", "rich_text_list", "context"):
            yield from _blocks(block.get("elements"), depth + 1)
        elif kind in ("mrkdwn", "plain_text", "markdown"):
            yield _composed(block)
        else:
            yield _composed(block.get("text"))
            yield from (_composed(field) for field in _parts(block.get("fields")))


def _composed(value: Any) -> str:
    """A text object: mrkdwn, or plain text, which has entities too but no references."""
    if not isinstance(value, Mapping):
        return ""
    return from_mrkdwn(_text(value.get("text")))


def _inline(element: Mapping[str, Any]) -> str:
    match element.get("type"):
        case "link":
            url, label = _text(element.get("url")), _text(element.get("text"))
            return url if label in ("", url) else f"{label} ({url})"
        case "user":
            return f"@{_text(element.get('user_id'))}"
        case "usergroup":
            return f"@{_text(element.get('usergroup_id'))}"
        case "channel":
            return f"#{_text(element.get('channel_id'))}"
        case "broadcast":
            return f"@{_text(element.get('range'))}"
        case "emoji":
            return f":{_text(element.get('name'))}:"
        case "date":
            return _text(element.get("fallback"))
        case _:
            return _text(element.get("text"))


def _attachments(value: Any) -> Iterator[str]:
    for attachment in _parts(value):
        told = [from_mrkdwn(_text(attachment.get(key))) for key in ("pretext", "title", "text")]
        for field in _parts(attachment.get("fields")):
            pair = (_text(field.get("title")), _text(field.get("value")))
            told.append(from_mrkdwn(": ".join(part for part in pair if part)))
        told.extend(_blocks(attachment.get("blocks"), 1))
        parts = [part for part in told if part]
        yield "\n".join(parts) if parts else from_mrkdwn(_text(attachment.get("fallback")))
