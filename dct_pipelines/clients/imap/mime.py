"""The text of a mail that may be cut off, broken, or built to break its reader.

The standard library's parser follows nested parts by recursion and builds a tree of all of them. Here the
first readable part is looked for in a single pass a level, with bounded depth and number of parts.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass

from dct_pipelines.clients.imap.html_text import text_of_html
from dct_pipelines.domain.mail.charsets import decoded
from dct_pipelines.domain.mail.headers import HeaderBlock, read_headers
from dct_pipelines.domain.sanitize import without_hidden

DEEPEST = 20
MOST_PARTS = 200
PART_HEADER_BYTES = 16 * 1024
_BLANK = re.compile(rb"\r?\n\r?\n|\A\r?\n")
_PARAMETER = re.compile(r';[ \t]*([\w*-]{1,40})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


@dataclass(frozen=True)
class Body:
    """What a reader sees. `fault` says why that is nothing, or not all."""

    text: str
    fault: str | None = None


class _Part:
    """A part: its own headers, and the raw bytes of its content."""

    def __init__(self, headers: HeaderBlock, content: bytes) -> None:
        self.content = content
        value = headers.first("content-type")[:PART_HEADER_BYTES]
        self.type = value.partition(";")[0].strip().lower() or "text/plain"
        self._parameters = {match[1].lower(): match[2] or match[3] for match in _PARAMETER.finditer(value)}
        self.is_attachment = headers.word("content-disposition") == "attachment"
        self._encoding = headers.word("content-transfer-encoding")

    @property
    def boundary(self) -> bytes:
        """What parts of a multipart are divided by; empty when it does not say."""
        return re.sub(r"\\(.)", r"\1", self._parameters.get("boundary", "")).encode("utf-8", "replace")

    def text(self) -> str:
        """The content decoded, whatever is wrong with it."""
        return decoded(self._raw(), self._parameters.get("charset"))

    def _raw(self) -> bytes:
        if self._encoding == "quoted-printable":
            return quopri.decodestring(self.content)
        if self._encoding == "base64":
            kept = _NOT_BASE64.sub(b"", self.content)
            try:
                return base64.b64decode(kept[: len(kept) // 4 * 4] + _padded(kept[len(kept) // 4 * 4 :]))
            except binascii.Error:
                return b""
        return self.content


def _padded(rest: bytes) -> bytes:
    return rest + b"=" * (4 - len(rest)) if len(rest) > 1 else b""


def split_header(raw: bytes) -> tuple[bytes, bytes] | None:
    """The header block and the body; None when the block does not end."""
    match = _BLANK.search(raw)
    return None if match is None else (raw[: match.start()], raw[match.end() :])


def body_of(headers: HeaderBlock, content: bytes) -> Body:
    """The first readable text: plain before HTML where both are offered."""
    search = _Search()
    plain, html = search.texts(_Part(headers, content), 0)
    if plain is not None:
        return Body(visible(plain), search.fault)
    if html is not None:
        return Body(visible(text_of_html(html)), search.fault)
    return Body("", search.fault)


def visible(text: str) -> str:
    """Lines as a reader sees them, without characters that cannot be seen."""
    text = without_hidden(text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = [line.rstrip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


class _Search:
    """Counts what it has looked at."""

    def __init__(self) -> None:
        self._left = MOST_PARTS
        self.fault: str | None = None

    def texts(self, part: _Part, depth: int) -> tuple[str | None, str | None]:
        """The first plain text and the first HTML, of those that are not attachments."""
        if part.type.startswith("multipart/"):
            return self._of_many(part, depth)
        if part.is_attachment:
            return None, None
        if part.type == "text/html":
            return None, part.text()
        is_text = part.type.startswith("text/") or "/" not in part.type
        return (part.text(), None) if is_text else (None, None)

    def _of_many(self, part: _Part, depth: int) -> tuple[str | None, str | None]:
        if depth == DEEPEST:
            self.fault = f"its parts are nested more than {DEEPEST} deep; what is deeper was not read"
            return None, None
        if not part.boundary:
            self.fault = "it has parts and does not say what divides them"
            return None, None
        plain, html = None, None
        for content in _divided(part.content, part.boundary):
            if self._left == 0:
                self.fault = f"it has more than {MOST_PARTS} parts; the others were not read"
                break
            self._left -= 1
            found_plain, found_html = self.texts(_read_part(content), depth + 1)
            plain, html = (found_plain if plain is None else plain), (found_html if html is None else html)
            if plain is not None or (html is not None and part.type != "multipart/alternative"):
                break
        return plain, html


def _read_part(raw: bytes) -> _Part:
    split = split_header(raw)
    header, content = split if split is not None else (raw, b"")
    return _Part(read_headers(header[:PART_HEADER_BYTES]), content)


def _divided(content: bytes, boundary: bytes) -> Iterator[bytes]:
    """What stands between the boundary lines; the last part may be cut off."""
    line = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    start: int | None = None
    for match in line.finditer(content):
        if start is not None:
            yield content[start : match.start()]
        if match[1]:
            return
        # A part without headers begins with an empty line: the boundary's own line end is not that one.
        end = content.find(b"\n", match.end())
        start = end + 1 if end >= 0 else len(content)
    if start is not None:
        yield content[start:]
