"""How the same change of a pull request is named by a poll and by a webhook, and what we find of our own."""

from __future__ import annotations

import hashlib
import re

from dct_pipelines.domain.repository.history import clean
from dct_pipelines.domain.text_rules import LONGEST_TEXT

ANY_REQUEST = "pull/"
"""With what the subject of every pull request begins, and that of every state below it."""
_MARK = re.compile(r"<!-- dct:([\w:.@/-]{1,200}) -->")


def subject_of(number: int) -> str:
    """The subject of a pull request, and of every event about it or its comments."""
    return f"{ANY_REQUEST}{number}"


def opened_id(number: int) -> str:
    """The external id of opening a pull request, once its number is known."""
    return f"{subject_of(number)} opened"


def comment_subject(number: int, comment_id: str) -> str:
    """Where the state of a comment is kept."""
    return f"{subject_of(number)}/comments/{comment_id}"


def added_key(comment_id: str) -> str:
    """A comment is added once."""
    return f"comment:{comment_id}:added"


def edited_key(comment_id: str, updated: str, after: str) -> str:
    """Several edits may fall into one second; what was before depends on when one looked."""
    return f"comment:{comment_id}:edited:{updated}:{digest(after)}"


def deleted_key(comment_id: str) -> str:
    """Hosts never use an id again."""
    return f"comment:{comment_id}:deleted"


def digest(*facts: str) -> str:
    """A short name for facts of any length."""
    return hashlib.sha256("\n".join(facts).encode("utf-8", "replace")).hexdigest()[:32]


def marks_in(text: str) -> tuple[str, ...]:
    """The marks that actions of ours left in a text: `<!-- dct:KEY -->`."""
    return tuple(_MARK.findall(text[:LONGEST_TEXT]))


def kept(text: str) -> str:
    """A text from outside as it is stored: bounded, and without what no database can store."""
    return clean(text, LONGEST_TEXT)
