"""New text matches a pattern: a message, a comment, a title, a description, a commit's message.

Regular expressions are RE2's (https://github.com/google/re2/wiki/Syntax): linear in time and bounded in
memory, whatever is written in a trigger or in a text.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, Literal

import re2
from pydantic import Field, StringConstraints, model_validator

from dct_pipelines.domain.condition import ConditionConfig, ConditionType, Finder
from dct_pipelines.domain.event import Event
from dct_pipelines.domain.matching import literal_of, shown
from dct_pipelines.domain.new_texts import (
    TEXT_EVENTS,
    TEXT_STATES,
    NewText,
    TextField,
    texts_of_event,
    texts_of_state,
)
from dct_pipelines.domain.snapshot import Snapshot
from dct_pipelines.domain.text_rules import LONGEST_TEXT
from dct_pipelines.domain.verdict import Verdict, no, yes
from dct_pipelines.domain.words import ItemKind

_MAX_REGEX_MEMORY = 1 << 20
_ENCODED_AT_ONCE = 256
Matcher = Callable[[str], bool]


class StringMatch(ConditionConfig):
    """Which text, and how it is compared."""

    pattern: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    mode: Literal["contains", "exact", "regex"] = "contains"
    field: TextField | None = Field(default=None, description="only this text; not given: any")
    case_sensitive: bool = False

    @model_validator(mode="after")
    def _can_match(self) -> StringMatch:
        if not self.pattern.strip():
            raise ValueError("pattern is blank; write the text to look for")
        if self.mode == "regex":
            try:
                _regex(self.pattern, self.case_sensitive)
            except re2.error as fault:
                raise ValueError(f"pattern is not a regular expression of RE2: {_said(fault)}") from None
        return self


def _said(fault: Exception) -> str:
    raw = fault.args[0] if fault.args else ""
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)


@lru_cache(maxsize=10_000)
def _regex(pattern: str, case_sensitive: bool) -> Any:
    options = re2.Options()
    options.case_sensitive = case_sensitive
    options.max_mem = _MAX_REGEX_MEMORY
    options.log_errors = False
    return re2.compile(_composed(pattern), options)


def _composed(text: str) -> str:
    """Composed characters, and none that cannot be written as UTF-8, so that equal texts are equal."""
    return unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode("utf-8"))


def _matcher(config: StringMatch) -> Matcher:
    if config.mode == "regex":
        regex = _regex(config.pattern, config.case_sensitive)
        return lambda text: regex.search(_comparable(text, case_sensitive=True).encode()) is not None
    pattern = _comparable(config.pattern, config.case_sensitive)
    if config.mode == "exact":
        return lambda text: _comparable(text, config.case_sensitive) == pattern
    return lambda text: pattern in _comparable(text, config.case_sensitive)


@lru_cache(maxsize=_ENCODED_AT_ONCE)
def _comparable(text: str, case_sensitive: bool) -> str:
    composed = _composed(text[:LONGEST_TEXT]).strip()
    return composed if case_sensitive else composed.casefold()


def _judge(config: StringMatch, texts: Iterator[NewText]) -> Verdict:
    matches = _matcher(config)
    wanted = [text for text in texts if config.field in (None, text.field)]
    matched_before = None
    for text in wanted:
        if matches(text.after):
            if text.before is None or not matches(text.before):
                return yes(f"{text} matches {shown(config.pattern)!r}: {shown(text.after)!r}")
            matched_before = text
    if matched_before is not None:
        return no(f"{matched_before} matched {shown(config.pattern)!r} already before the edit")
    if not wanted:
        return no(f"there is no new {(config.field or 'text').replace('_', ' ')}")
    named = dict.fromkeys(map(str, wanted))
    do_not = f"{' and '.join(named)} {'does' if len(named) == 1 else 'do'} not match"
    return no(f"{do_not} {shown(config.pattern)!r}: {shown(wanted[0].after)!r}")


def _test(config: StringMatch, event: Event) -> Verdict:
    return _judge(config, texts_of_event(event.payload))


def _is_true(config: StringMatch, snapshot: Snapshot, _at: datetime) -> Verdict:
    return _judge(config, texts_of_state(snapshot.state))


def _finder(configs: Sequence[StringMatch]) -> Finder:
    """By a text that has to be there whatever else a pattern says."""
    by_needle: dict[str, list[int]] = {}
    for place, config in enumerate(configs):
        is_regex = config.mode == "regex"
        needle = literal_of(config.pattern) if is_regex else _comparable(config.pattern, case_sensitive=False)
        by_needle.setdefault(needle, []).append(place)

    def find(event: Event) -> list[int]:
        texts = "\n".join(
            _comparable(text.after, case_sensitive=False) for text in texts_of_event(event.payload)
        )
        return [place for needle, places in by_needle.items() if needle in texts for place in places]

    return find


CONDITION = ConditionType(
    kind="string_match",
    summary="new text matches a pattern",
    config=StringMatch,
    item_kinds=frozenset(kind for kind in ItemKind if kind.is_dynamic),
    event_kinds=TEXT_EVENTS,
    state_kinds=TEXT_STATES,
    test=_test,
    is_true=_is_true,
    finder=_finder,
    example={"pattern": r"\bhotfix\b", "mode": "regex", "field": "commit_message"},
)
