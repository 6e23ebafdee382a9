"""The header block of a mail, read so that two readers could not disagree about it without us noticing.

RFC 5322 allows much, mail programs allow more, and what one takes for a second `From` another takes for text.
Every line that any of them could take for a header counts here as one; what is ambiguous is remembered as a
fault, and a mail with a fault is nobody's word. All patterns take linear time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header

from dct_pipelines.domain.mail.charsets import decoded
from dct_pipelines.domain.sanitize import without_hidden

MOST_HEADERS = 1_000
LONGEST_HEADER = 16_384
"""Characters of one header that are looked at; a longer one is a fault."""
LONGEST_SHOWN = 1_000
LONGEST_ID = 250
MOST_REFERENCES = 100

_FIELD = re.compile(r"([!-9;-~]+)[ \t]*:[ \t]*(.*)", re.DOTALL)
_ID = re.compile(r"<([^<>\s\x00-\x1f\x7f]{1,998})>")
_COMMENT_FREE_TOKEN = re.compile(r"[\w/+.-]+")


@dataclass(frozen=True)
class HeaderBlock:
    """Every header in its order, unfolded: (name in lower case, value). `fault` says what is ambiguous."""

    fields: tuple[tuple[str, str], ...]
    fault: str | None = None

    def all(self, name: str) -> tuple[str, ...]:
        """The values of every header of that name (in lower case), topmost first."""
        return tuple(value for known, value in self.fields if known == name)

    def first(self, name: str) -> str:
        """The topmost value, or nothing."""
        return next((value for known, value in self.fields if known == name), "")

    def word(self, name: str) -> str:
        """The first token of the topmost value in lower case, e.g. `auto-replied` of `auto-replied; x=y`."""
        match = _COMMENT_FREE_TOKEN.search(without_comments(self.first(name)) or "")
        return match[0].lower() if match else ""

    def ids(self, name: str) -> tuple[str, ...]:
        """The message ids that a header names, in its order, without angle brackets."""
        found = [bounded_id(match) for match in _ID.findall(self.first(name))]
        return tuple(dict.fromkeys((*found[:1], *found[-MOST_REFERENCES:])))

    def shown(self, name: str) -> str:
        """A header as a mail program shows it, on one line."""
        return decoded_words(self.first(name))


def read_headers(raw: bytes, *, is_cut: bool = False) -> HeaderBlock:
    """The headers of a raw block (up to the first empty line)."""
    fault = "its header block is too long" if is_cut else None
    text = raw.decode("utf-8", "replace")
    if re.search("[\x00\x0b\x0c\x85\u2028\u2029]|\r(?!\n)", text):
        fault = fault or "its headers hold control characters"
    fields: list[tuple[str, str]] = []
    for line in _unfolded(text):
        match = _FIELD.fullmatch(line[:LONGEST_HEADER])
        if match is None:
            fault = fault or "one of its headers is malformed"
            continue
        if len(line) > LONGEST_HEADER:
            fault = fault or f"its header {match[1][:40]} is too long"
        if len(fields) == MOST_HEADERS:
            return HeaderBlock(tuple(fields), fault or f"it has more than {MOST_HEADERS} headers")
        fields.append((match[1].lower(), match[2].strip()))
    return HeaderBlock(tuple(fields), fault)


def _unfolded(text: str) -> Iterator[str]:
    lines: list[str] = []
    for raw in text.split("\n"):
        line = raw.removesuffix("\r")
        if not line:
            break
        if line[0] in " \t" and lines:
            lines.append(line)
            continue
        if lines:
            yield "".join(lines)
        lines = [line]
    if lines:
        yield "".join(lines)


def without_comments(value: str) -> str | None:
    """The value without comments (which nest), quoted strings kept; None when one of them does not end."""
    kept: list[str] = []
    depth, is_quoted, place = 0, False, 0
    while place < len(value):
        character = value[place]
        if character == "\\" and (depth or is_quoted):
            kept.append(value[place : place + 2] if not depth else "")
            place += 2
            continue
        if character == '"' and not depth:
            is_quoted = not is_quoted
        elif character == "(" and not is_quoted:
            depth += 1
        elif character == ")" and depth:
            depth -= 1
            kept.append(" ")
            place += 1
            continue
        if not depth:
            kept.append(character)
        place += 1
    return None if depth or is_quoted else "".join(kept)


def bounded_id(message_id: str) -> str:
    """A message id as we keep it: those that are longer than `LONGEST_ID` end with their length."""
    text = without_hidden(message_id)
    return text if len(text) <= LONGEST_ID else f"{text[: LONGEST_ID - 10]}~{len(text)}"


def decoded_words(value: str) -> str:
    """A value with its encoded words decoded, on one line, without what cannot be seen."""
    value = value[: 4 * LONGEST_SHOWN]
    try:
        parts = decode_header(value)
    except (HeaderParseError, ValueError):
        parts = [(value, None)]
    text = "".join(part if isinstance(part, str) else decoded(part, charset) for part, charset in parts)
    return without_hidden(" ".join(text.split()))[:LONGEST_SHOWN]
