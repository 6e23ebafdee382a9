"""How we know our own writes when we read them again: marks, and the external ids that intake compares.

A comment carries its mark as its last line, `(dct 0123456789abcdef)`; a listing of comments shows neither
properties nor metadata, and what stands in the text survives everywhere. The line is not part of the text
that events give. A change of a field carries it in the history metadata that Jira keeps with its changelog.
The account that wrote is part of each id: somebody who copies a mark does not pass for us.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

METADATA_TYPE = "dct"
_LAST_LINE = re.compile(r"\s*\(dct ([0-9a-f]{16})\)\s*\Z")


def mark_of(key: str) -> str:
    """The mark that stands for an idempotency key: sixteen hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def marked(text: str, mark: str) -> str:
    """The text of a comment with its mark."""
    return f"{text.rstrip()}\n\n(dct {mark})"


def unmarked(text: str) -> tuple[str, str | None]:
    """A comment's text without its mark, and the mark if it has one."""
    found = _LAST_LINE.search(text)
    return (text[: found.start()], found[1]) if found else (text, None)


def metadata(mark: str, said: str) -> dict[str, Any]:
    """What is sent with a change: Jira keeps it in the changelog and shows `said` in the ticket's history."""
    return {
        "type": METADATA_TYPE,
        "description": said,
        "extraData": {METADATA_TYPE: mark},
        "generator": {"id": METADATA_TYPE, "type": METADATA_TYPE},
    }


def mark_in(history: Mapping[str, Any]) -> str | None:
    """The mark of a changelog entry as Jira answers it."""
    kept = history.get("historyMetadata")
    extra = kept.get("extraData") if isinstance(kept, Mapping) else None
    mark = extra.get(METADATA_TYPE) if isinstance(extra, Mapping) else None
    return mark if isinstance(mark, str) else None


def comment_write(author_id: str | None, mark: str) -> str:
    """The external id of a comment of ours."""
    return f"comment:{author_id}:{mark}"


def change_write(author_id: str | None, mark: str) -> str:
    """The external id of a change of ours that carries metadata."""
    return f"change:{author_id}:{mark}"


def value_write(ticket_id: str, field: str, author_id: str | None, after: str | None) -> str:
    """The external id of a change where Jira drops metadata: this account gave this field this value."""
    return f"value:{ticket_id}:{field}:{author_id}:{after or ''}"
