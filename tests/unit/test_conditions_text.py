"""new_comment, new_message, string_match: by whom, with which words, and only what is new."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dct_pipelines import registry
from dct_pipelines.domain.facts import Commit, Person
from dct_pipelines.domain.payloads import (
    CommentAdded,
    CommentEdited,
    HeadMoved,
    MessageEdited,
    MessagePosted,
    TextChanged,
)
from dct_pipelines.domain.snapshot import PullRequestState, ThreadState, TicketState
from tests.fakes.ports import NOON
from tests.support.facts import HEAD, TARGET_HEAD, holds, verdict_of

DEV = Person(id="u1", name="Dev Example", email="dev@example.invalid")


def comment(text: str, author: Person = DEV) -> CommentAdded:
    return CommentAdded(comment_id="1", author=author, text=text)


def message(text: str, subject: str | None = None, *, in_thread: bool = False) -> MessagePosted:
    return MessagePosted(message_id="1", author=DEV, text=text, subject=subject, in_thread=in_thread)


def push(*messages: str) -> HeadMoved:
    commits = (Commit(oid=HEAD, author=DEV, message=text, committed_at=NOON) for text in messages)
    return HeadMoved(branch="main", before=TARGET_HEAD, head=HEAD, commits=tuple(commits))


texts = st.text("aB ", max_size=12)


@given(texts, st.none() | st.integers(1, 6), st.lists(st.sampled_from(["ab", "BB", "a b"]), max_size=2))
def test_a_new_comment_fires_exactly_when_author_length_and_a_keyword_fit(text, length, keywords):
    config = {"from_user": "DEV example", "min_length": length, "contains_keywords": keywords}
    folded = " ".join(text.lower().split())
    expected = len(text.strip()) >= (length or 0) and (
        not keywords or any(word.lower() in folded for word in keywords)
    )
    assert verdict_of("new_comment", config, comment(text)).fired is expected
    assert not verdict_of("new_comment", config, comment(text, Person(id="u2"))).fired


def test_a_comment_that_is_not_meant_says_what_it_lacks():
    said = verdict_of("new_comment", {"contains_keywords": ["ship it"]}, comment("Looks good")).because
    assert said == "comment by Dev Example contains none of 'ship it'"
    said = verdict_of("new_comment", {"min_length": 20}, comment("Looks good")).because
    assert said == "comment by Dev Example has 10 characters, fewer than 20"
    said = verdict_of("new_comment", {"from_user": "u9"}, comment("Looks good")).because
    assert said == "comment by Dev Example, not by 'u9'"


def test_the_last_comment_holds():
    state = PullRequestState(
        number=5, source="x", target="main", head=HEAD, last_comment="Ship it", last_comment_by=DEV
    )
    assert holds("new_comment", {"contains_keywords": ["ship"]}, state).fired
    silent = TicketState(key="PAY-7", status="To Do")
    assert holds("new_comment", {}, silent).because == "nobody has commented"


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"subject": "release"}, True),
        ({"subject": "outage"}, False),
        ({"in_thread": True}, True),
        ({"in_thread": False}, False),
        ({"contains_keywords": ["deploy"], "subject": "1.2"}, True),
    ],
)
def test_a_new_message_looks_at_subject_and_thread(config, expected):
    said = message("Please deploy", "Re: Release 1.2", in_thread=True)
    assert verdict_of("new_message", config, said).fired is expected


def test_the_last_message_of_a_thread_holds():
    thread = ThreadState(subject="Release", last_message_id="1", last_text="Go", last_author=DEV)
    assert holds("new_message", {"subject": "release", "from_user": "u1"}, thread).fired
    assert not holds("new_message", {}, ThreadState()).fired


@given(texts, texts, st.text("aB ", min_size=1, max_size=3).filter(str.strip), st.booleans())
def test_an_edit_fires_only_when_the_text_before_did_not_match(before, after, pattern, case_sensitive):
    def contains(text: str) -> bool:
        wanted = pattern.strip()
        return wanted in text if case_sensitive else wanted.lower() in text.lower()

    config = {"pattern": pattern, "case_sensitive": case_sensitive}
    edit = CommentEdited(comment_id="1", author=DEV, before=before, after=after)
    assert verdict_of("string_match", config, edit).fired is (contains(after) and not contains(before))


@given(st.text(max_size=30), st.sampled_from(["contains", "exact", "regex"]))
def test_a_text_that_did_not_change_never_matches(text: str, mode: str):
    edit = TextChanged(field="title", before=text, after=text)
    assert not verdict_of("string_match", {"pattern": "a.*b", "mode": mode}, edit).fired


@given(
    st.text(st.characters(max_codepoint=0x7F), max_size=40), st.sampled_from(["a+b", "^x", r"\d{2}", "b$"])
)
def test_a_regular_expression_finds_what_pythons_finds(text: str, pattern: str):
    expected = re.search(pattern.replace("$", r"\Z"), text.strip(), re.IGNORECASE) is not None
    config = {"pattern": pattern, "mode": "regex"}
    assert verdict_of("string_match", config, message(text)).fired is expected


def test_only_the_named_field_is_looked_at():
    both = message("hello", "deploy now")
    assert verdict_of("string_match", {"pattern": "deploy"}, both).fired
    assert verdict_of("string_match", {"pattern": "deploy", "field": "subject"}, both).fired
    verdict = verdict_of("string_match", {"pattern": "deploy", "field": "message"}, both)
    assert verdict.because == "message does not match 'deploy': 'hello'"
    verdict = verdict_of("string_match", {"pattern": "deploy", "field": "title"}, both)
    assert verdict.because == "there is no new title"


def test_every_commit_message_of_a_push_is_looked_at():
    config = {"pattern": r"\bhotfix\b", "mode": "regex", "field": "commit_message"}
    assert verdict_of("string_match", config, push("Tidy up", "A HOTFIX for the till")).fired
    assert not verdict_of("string_match", config, push("Tidy up", "hotfixes")).fired
    assert not verdict_of("string_match", config, push()).fired


def test_exact_compares_the_whole_text_without_the_space_around_it():
    config = {"pattern": "Ship it", "mode": "exact"}
    assert verdict_of("string_match", config, comment(" SHIP IT\n")).fired
    assert not verdict_of("string_match", config, comment("Ship it!")).fired
    assert not verdict_of("string_match", config | {"case_sensitive": True}, comment("SHIP IT")).fired


@pytest.mark.parametrize(
    ("pattern", "fault"), [("(a", "missing )"), ("(?=a)", "perl operator"), ("a**", "repetition")]
)
def test_a_bad_regular_expression_is_refused_with_its_fault(pattern: str, fault: str):
    with pytest.raises(ValidationError, match=re.escape(fault)) as raised:
        registry.condition("string_match").config.model_validate({"pattern": pattern, "mode": "regex"})
    assert "not a regular expression of RE2" in str(raised.value)


def test_an_expression_that_hangs_other_engines_is_linear():
    start = time.process_time()
    assert not verdict_of(
        "string_match", {"pattern": "(x+x+)+y", "mode": "regex"}, comment("x" * 90_000)
    ).fired
    assert time.process_time() - start < 1


def test_text_that_is_not_valid_unicode_is_compared_all_the_same():
    edit = MessageEdited(message_id="1", author=DEV, before="", after="\ud800 deploy \x00")
    assert verdict_of("string_match", {"pattern": "deploy", "mode": "regex"}, edit).fired


def test_the_texts_of_a_state_hold():
    ticket = TicketState(key="PAY-7", status="To Do", title="Checkout fails", last_comment="hotfix please")
    assert holds("string_match", {"pattern": "HOTFIX"}, ticket).fired
    assert not holds("string_match", {"pattern": "hotfix", "field": "title"}, ticket).fired
