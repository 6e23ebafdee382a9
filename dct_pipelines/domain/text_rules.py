"""The rule that the conditions about a written text share: by whom, how long, with which words."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dct_pipelines.domain.condition import ConditionConfig
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.matching import Name, fold, is_called, shown
from dct_pipelines.domain.verdict import Verdict, no, yes

LONGEST_TEXT = 100_000
"""Characters of a text that are looked at; what is behind them is not."""


class TextRules(ConditionConfig):
    """What a comment or a message has to be like; what is not given does not matter."""

    from_user: Name | None = Field(default=None, description="the author's id, name or address")
    min_length: int | None = Field(default=None, ge=1, le=LONGEST_TEXT, description="in characters")
    contains_keywords: Annotated[tuple[Name, ...], Field(max_length=50)] = Field(
        default=(), description="any of these, anywhere in the text, also within a word"
    )


def judge_text(what: str, rules: TextRules, author: Person | None, text: str) -> Verdict:
    """Fires when the text and its author are as `rules` say. `what` is e.g. `comment`."""
    by = f"{what} by {shown(str(author or Person()))}"
    if rules.from_user is not None and not (author and is_called(author, rules.from_user)):
        return no(f"{by}, not by {rules.from_user!r}")
    length = len(text.strip())
    if rules.min_length is not None and length < rules.min_length:
        return no(f"{by} has {length} characters, fewer than {rules.min_length}")
    if not rules.contains_keywords:
        return yes(by)
    folded = fold(text[:LONGEST_TEXT])
    for keyword in rules.contains_keywords:
        if fold(keyword) in folded:
            return yes(f"{by} contains {keyword!r}")
    return no(f"{by} contains none of {', '.join(map(repr, rules.contains_keywords))}")
