"""Text from outside, made fit to be handed to people and agents as data.

Removed is what a reader cannot see but a program obeys (HTML comments, zero-width and bidirectional control
characters), and what looks like a secret. Every pattern has bounded repeats: the time is linear.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_TEXT = 20_000
MOST_ENTRIES = 200
DEEPEST = 8
REMOVED = "[secret removed]"

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_SECRETS = (
    re.compile(
        r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|\Z)", re.DOTALL
    ),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"\bAIza[0-9A-Za-z_-]{35}"),
    re.compile(r"\b(?:gh[pousr]|github_pat|glpat|xox[abeoprs]|xapp|sk|whsec)[_-][A-Za-z0-9_/+=-]{16,255}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{10,1000}\.[A-Za-z0-9_-]{10,1000}\.[A-Za-z0-9_-]{5,1000}"),
)
_AFTER_A_NAME = re.compile(
    r"(?i)\b([a-z0-9_-]{0,40}(?:passw(?:or)?d|secret|token|api[_-]?key|access[_-]?key|private[_-]?key)"
    r"[a-z0-9_-]{0,40}[\"']?\s{0,8}[:=]\s{0,8})(?:\"[^\"\n]{4,400}\"|'[^'\n]{4,400}'|[^\s\"',;]{4,400})"
)
_AUTHORIZATION = re.compile(r"(?i)\b((?:bearer|basic)\s{1,8})[A-Za-z0-9+/=._~-]{16,1000}")
_IN_A_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,20}://)[^\s/@:]{0,100}:[^\s/@]{1,400}@")


def clean_text(text: str) -> str:
    """The text as a reader sees it, without secrets, cut at `LONGEST_TEXT` characters."""
    text = text[: 2 * LONGEST_TEXT].replace("\r\n", "\n").replace("\r", "\n")
    text = without_secrets(without_comments(_HIDDEN.sub("", text)))
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " [cut]"


def clean(value: Any, depth: int = 0) -> Any:
    """The same for plain data: texts and keys cleaned, lists and nesting bounded, other things as text."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return clean_text(value)
    if depth >= DEEPEST:
        return "[cut]"
    if isinstance(value, Mapping):
        entries = list(value.items())[:MOST_ENTRIES]
        return {clean_text(str(key)): clean(entry, depth + 1) for key, entry in entries}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [clean(entry, depth + 1) for entry in value[:MOST_ENTRIES]]
    return clean_text(str(value))


def without_hidden(text: str) -> str:
    """The text without control, zero-width and bidirectional characters; tabs and line feeds stay."""
    return _HIDDEN.sub("", text)


def without_comments(text: str) -> str:
    """HTML comments replaced by a space (so that what stands around one cannot become another)."""
    kept: list[str] = []
    position = 0
    while (start := text.find("<!--", position)) >= 0:
        kept.append(text[position:start])
        end = text.find("-->", start + 4)
        position = len(text) if end < 0 else end + 3
    kept.append(text[position:])
    return " ".join(kept)


def without_secrets(text: str) -> str:
    """What looks like a token, a key, or a password after its name, replaced by `REMOVED`."""
    for pattern in _SECRETS:
        text = pattern.sub(REMOVED, text)
    for pattern in (_IN_A_URL, _AUTHORIZATION, _AFTER_A_NAME):
        text = pattern.sub(_keep_name, text)
    return text


def _keep_name(match: re.Match[str]) -> str:
    return f"{match[1]}{REMOVED}{'@' if match[0].endswith('@') else ''}"
