"""Jira's wiki markup, which Data Center reads: what we write must not be read as macros, links or images.

https://jira.atlassian.com/secure/WikiRendererHelpAction.jspa?section=all
"""

from __future__ import annotations

_ACTIVE = str.maketrans({"\\": "&#92;", "{": "\\{", "}": "\\}", "[": "\\[", "]": "\\]", "!": "\\!"})


def escaped(text: str) -> str:
    r"""The text with nothing in it that acts: `{macro}`, `[~mention]`, `[link|url]`, `!image!`.

    A backslash is written as a character reference, because two of them are markup again. What only formats
    (`*bold*`, `h1.`) is left as it is: it does no harm, and dates would be full of backslashes.
    """
    return text.replace("\r\n", "\n").translate(_ACTIVE)
