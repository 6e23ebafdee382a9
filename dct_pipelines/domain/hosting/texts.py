"""Texts that we write to a git host: made of what came from outside, so fit to be seen by everybody there.

What cannot be seen but is obeyed is removed (HTML comments, bidirectional characters), and what looks like a
secret, which a pull request would publish. GitLab obeys lines that begin with a slash as commands of the one
who writes them: they are escaped. Source: https://docs.gitlab.com/user/project/quick_actions/
"""

from __future__ import annotations

import re

from dct_pipelines.domain.sanitize import clean_text

LONGEST_TITLE = 255
"""GitLab and Gitea take no longer ones; GitHub takes 256."""
LONGEST_NAME = 100
_COMMAND = re.compile(r"^([ \t>]*)/(?=[A-Za-z])", re.MULTILINE)


def title_of(text: str, instead: str) -> str:
    """One line, bounded; `instead` when nothing is left of it."""
    line = " ".join(clean_text(text).split()) or " ".join(instead.split())
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1] + "…"


def body_of(text: str, key: str) -> str:
    """The text, and at its end the mark by which we know our own pull request when it is read again."""
    seen = _COMMAND.sub(r"\1\\/", clean_text(text)).strip()
    return f"{seen}\n\n<!-- dct:{key} -->".lstrip()


def name_fault(name: str) -> str | None:
    """Why it cannot be the name of a label or of a person, or None."""
    if not name.strip() or len(name) > LONGEST_NAME:
        return f"it has to have between 1 and {LONGEST_NAME} characters"
    return None if name.isprintable() and "," not in name else "it holds a comma or a control character"
