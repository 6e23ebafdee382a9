"""What the notes below a merge request say: comments by people, and GitLab's own on what they did."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from dct_pipelines.clients.gitlab.shapes import MergeRequest, Note
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.hosting.people import stamp
from dct_pipelines.domain.hosting.reader import HostedComment, Retitling
from dct_pipelines.domain.text_rules import LONGEST_TEXT

_RETITLED = re.compile(r"changed title from \*\*(?P<before>.*)\*\* to \*\*(?P<after>.*)\*\*", re.DOTALL)
_MARKS = re.compile(r"\{[-+]|[-+]\}")
"""Around the parts of a title that differ."""
_DRAFT = re.compile(r"(?:\s*(?:\[draft\]|\(draft\)|draft:|draft -))+\s*", re.IGNORECASE)
"""What makes a draft of a merge request, at the beginning of its title.

Source: https://docs.gitlab.com/user/project/merge_requests/drafts/
"""
_APPROVED = "approved this merge request"
_UNAPPROVED = "unapproved this merge request"


def bare_title(title: str) -> str:
    """The title without what marks a draft: being one is told apart from the title."""
    match = _DRAFT.match(title)
    return (title[match.end() :] if match else title)[:LONGEST_TEXT]


def comments_of(notes: Sequence[Note], request: MergeRequest) -> tuple[HostedComment, ...]:
    """What people wrote, in the order of its writing."""
    return tuple(
        HostedComment(
            id=f"note-{note.id}",
            author=note.author.person if note.author else Person(),
            text=note.body[:LONGEST_TEXT],
            created_at=note.created_at,
            updated=stamp(note.updated_at),
            edited_at=note.edited_at,
            url=f"{request.web_url}#note_{note.id}" if request.web_url else None,
        )
        for note in sorted(notes, key=lambda note: note.id)
        if not note.system
    )


def retitlings_of(notes: Sequence[Note]) -> tuple[Retitling, ...]:
    """The changes of the title, as GitLab's own notes tell them."""
    found: list[Retitling] = []
    for note in sorted(notes, key=lambda note: note.id):
        match = _RETITLED.fullmatch(note.body) if note.system else None
        if match is None:
            continue
        before, after = (bare_title(_MARKS.sub("", match[side])) for side in ("before", "after"))
        actor = note.author.person if note.author else None
        found.append(Retitling(f"note-{note.id}", before, after, note.created_at, actor))
    return tuple(found)


def is_told_whole(retitlings: Sequence[Retitling], title: str) -> bool:
    """Whether the changes fit each other and lead to the present title.

    Titles may hold what GitLab marks differences with, so its words are believed only if they fit.
    """
    followed_by = [retitling.before for retitling in retitlings[1:]] + [title]
    return all(one.after == next_one for one, next_one in zip(retitlings, followed_by, strict=False))


def approved_when(notes: Sequence[Note]) -> Mapping[str, datetime]:
    """When each user last approved, by GitLab's own notes; who took it back is not in it."""
    when: dict[str, datetime] = {}
    for note in sorted(notes, key=lambda note: note.id):
        if not note.system or note.author is None:
            continue
        if note.body == _APPROVED:
            when[note.author.username] = note.created_at
        elif note.body == _UNAPPROVED:
            when.pop(note.author.username, None)
    return when
