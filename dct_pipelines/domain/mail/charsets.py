"""Bytes of mails to text. A name that is unknown, or means no charset of mails, is read as UTF-8.

Python knows codecs that take quadratic time (`punycode`, `idna`) or run on escapes (`unicode_escape`); a mail
must not choose them.
"""

from __future__ import annotations

import codecs
import re

_OF_MAILS = re.compile(
    r"utf-8|utf-8-sig|utf-7|utf-16(?:-[bl]e)?|utf-32(?:-[bl]e)?|ascii|iso8859-\d{1,2}|iso2022_(?:jp|kr)[\w-]*"
    r"|cp\d{3,4}|koi8-[rut]|mac-\w+|gb2312|gbk|gb18030|hz|big5|big5hkscs|euc_\w+|euc-\w+|shift_jis\w*|johab|tis-620"
)


def decoded(raw: bytes, charset: str | None) -> str:
    """The text, with U+FFFD for what is no text in that charset."""
    return raw.decode(_codec(charset or "utf-8"), "replace")


def _codec(charset: str) -> str:
    # Microsoft's programs write Latin-1 and mean their own superset of it, as browsers know.
    name = charset.strip("\"' \t").lower()
    if name in {"iso-8859-1", "latin-1", "latin1", "us-ascii", "ascii"}:
        name = "cp1252" if name != "us-ascii" and name != "ascii" else "utf-8"
    try:
        found = codecs.lookup(name[:40]).name
    except (LookupError, ValueError):
        return "utf-8"
    return found if _OF_MAILS.fullmatch(found) else "utf-8"
