"""What is new in a mail: the text above, between and below what it quotes.

mail-parser-reply knows how mail programs of many languages introduce a quote. Its patterns backtrack,
so that it gets to see a skeleton only: short lines, few of them. The text itself is taken by its lines.
"""

from __future__ import annotations

import re

from mailparser_reply import EmailReplyParser

LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pl", "sv", "da", "cs", "ja", "ko", "zh", "david"]
LONGEST_LINE = 200
MOST_LINES = 2_000
_COLONS = (":", "\N{FULLWIDTH COLON}")
_QUOTED = re.compile(r"[ \t]*>")
_LONG_RULE = re.compile(r"[_-]{32,}")


def new_text(text: str) -> str:
    """The text without quotes. What is forwarded is nobody's new text: a mail that only forwards has none."""
    lines = text.split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    skeleton = "\n".join(_short(line) for line in lines[:MOST_LINES])
    replies = EmailReplyParser(languages=LANGUAGES).read(skeleton).replies
    first = replies[0] if replies else None
    if first is None or not skeleton.strip():
        return ""
    if first.headers:
        kept = lines[_count(first.headers) :] if first.headers.rstrip().endswith(_COLONS) else []
    elif len(replies) > 1:
        kept = lines[: _count(first.content)]
    else:
        kept = lines
    return "\n".join(_without_quoted(kept)).strip("\n")


def _without_quoted(lines: list[str]) -> list[str]:
    """Without lines that are marked as quoted, and without a line before them that names whom they quote."""
    kept: list[str] = []
    was_quoted = False
    for line in lines:
        is_quoted = bool(_QUOTED.match(line))
        if not is_quoted:
            kept.append(line)
        elif not was_quoted and kept and "@" in kept[-1] and kept[-1].rstrip().endswith(_COLONS):
            kept.pop()
        was_quoted = is_quoted
    return kept


def _short(line: str) -> str:
    return _LONG_RULE.sub("_" * 20, line.strip())[:LONGEST_LINE]


def _count(text: str) -> int:
    return text.count("\n") + 1
