"""Texts from and for Jira: documents, wiki markup, marks of our own, and whatever else somebody may write."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.errors import PayloadUnreadable
from dct_pipelines.domain.text_rules import LONGEST_TEXT
from dct_pipelines.domain.tracking.adf import document, text_of
from dct_pipelines.domain.tracking.config import location_fault
from dct_pipelines.domain.tracking.gathering import Letters
from dct_pipelines.domain.tracking.marks import mark_in, mark_of, marked, metadata, unmarked
from dct_pipelines.domain.tracking.raw import person_of, time_of
from dct_pipelines.domain.tracking.tickets import comment_of, history_of, ticket_of
from dct_pipelines.domain.tracking.wiki import escaped
from dct_pipelines.domain.words import ItemKind

MARK = mark_of("00000000-0000-5000-8000-000000000001")
PERSON = {"accountId": "5b10", "displayName": "Dev"}
COMMENT = {
    "id": "7",
    "author": PERSON,
    "body": "hello",
    "created": "2026-03-02T12:00:00.000+0000",
    "updated": "2026-03-02T12:00:00.000+0000",
}
HOSTILE = [
    "{html}<script>x</script>{html}",
    "[~admin] [x|http://evil]",
    "!http://evil/pixel.png!",
    "\\{code}",
    "\\\\{x}",
]


def node(kind: str, *content: Any, **attrs: Any) -> dict[str, Any]:
    return {"type": kind, "content": list(content), "attrs": attrs}


def words(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def test_a_document_is_read_as_its_words_block_by_block():
    body = node(
        "doc",
        node("heading", words("Title")),
        node(
            "paragraph", words("Hello "), node("mention", text="@Lead"), {"type": "hardBreak"}, words("you")
        ),
        node(
            "bulletList",
            node("listItem", node("paragraph", words("one"))),
            node("listItem", node("paragraph", words("two"))),
        ),
        node("paragraph", node("inlineCard", url="https://x.example"), node("emoji", shortName=":+1:")),
        node("unknownThing", node("paragraph", words("inside"))),
    )
    assert text_of(body) == "Title\nHello @Lead\nyou\none\ntwo\nhttps://x.example:+1:\ninside"


@pytest.mark.parametrize("body", [7, ["x"], node("doc", "text"), {"type": "doc", "content": "x"}])
def test_what_is_no_document_cannot_be_understood(body: Any):
    with pytest.raises(PayloadUnreadable):
        text_of(body)


def test_a_document_that_is_nested_without_end_cannot_be_understood():
    body: dict[str, Any] = words("x")
    for _ in range(200):
        body = node("blockquote", body)
    with pytest.raises(PayloadUnreadable):
        text_of(body)


def test_a_long_text_is_cut_and_halves_of_characters_are_replaced():
    assert len(text_of("x" * (LONGEST_TEXT + 5))) == LONGEST_TEXT
    assert text_of("a\ud800b") == "a?b"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=200))
def test_what_is_written_as_a_document_is_text_only_and_reads_the_same(text: str):
    body = document(text)
    kinds = {inner["type"] for block in body["content"] for inner in block["content"]}
    assert {block["type"] for block in body["content"]} <= {"paragraph"}
    assert kinds <= {"text", "hardBreak"}
    assert text_of(json.loads(json.dumps(body))).split() == text.split()


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_wiki_markup_that_we_write_acts(text: str):
    written = escaped(text)
    for place, character in enumerate(written):
        if character in "{}[]!":
            assert written[place - 1] == "\\"
    assert "\\\\" not in written


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=200))
def test_a_mark_is_found_again_and_is_not_part_of_the_text(text: str):
    said, mark = unmarked(marked(text, MARK))
    assert (said, mark) == (text.rstrip(), MARK)


@pytest.mark.parametrize("text", ["(dct 12)", "x (dct 0123456789abcdef) y", "(dct 0123456789ABCDEF)", ""])
def test_what_only_looks_like_a_mark_stays(text: str):
    assert unmarked(text) == (text, None)


def test_the_mark_of_a_change_is_found_in_its_history():
    history = {"historyMetadata": metadata(MARK, "us")}
    assert mark_in(history) == MARK
    for other in ({}, {"historyMetadata": None}, {"historyMetadata": {"extraData": {"dct": 7}}}):
        assert mark_in(other) is None


@pytest.mark.parametrize(
    "value", ["2026-03-02T13:00:00.000+0100", 1772452800, 1772452800000, "2026-03-02T12:00:00Z"]
)
def test_every_form_of_a_moment_is_understood(value: Any):
    assert time_of(value, "it") == datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize("value", ["2026-03-02T12:00:00", "today", None, True, {}, 1e300])
def test_what_is_no_moment_cannot_be_understood(value: Any):
    with pytest.raises(PayloadUnreadable):
        time_of(value, "it")


def test_people_are_known_by_account_or_by_login():
    cloud, center = person_of(PERSON, "it"), person_of({"name": "dev", "key": "JIRAUSER1"}, "it")
    assert cloud is not None
    assert center is not None
    assert (cloud.id, center.id) == ("5b10", "dev")
    bot = person_of({"accountId": "b", "accountType": "app"}, "it")
    assert bot is not None
    assert bot.is_bot


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "id",
                    "key",
                    "fields",
                    "created",
                    "updated",
                    "status",
                    "name",
                    "items",
                    "author",
                    "body",
                    "content",
                    "type",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(raw=JUNK, parse=st.sampled_from([ticket_of, comment_of, history_of]))
def test_whatever_comes_is_understood_or_kept_raw(raw: Any, parse: Any):
    letters = Letters()
    assert letters.read("it", parse, raw) is not None or len(letters.taken()) == 1


@given(st.dictionaries(st.sampled_from(list(COMMENT)), JUNK, min_size=1))
def test_a_comment_with_one_wrong_part_is_understood_or_kept_raw(wrong: dict[str, Any]):
    letters = Letters()
    assert letters.read("comment", comment_of, {**COMMENT, **wrong}) is not None or letters.taken()


@pytest.mark.parametrize(
    ("kind", "location", "is_right"),
    [
        (ItemKind.JIRA_TICKET, "PAY-7", True),
        (ItemKind.JIRA_TICKET, "10007", True),
        (ItemKind.JIRA_TICKET, "PAY", False),
        (ItemKind.JIRA_TICKET, "PAY-7) OR key in (X-1", False),
        (ItemKind.JIRA_QUERY, "project = PAY", True),
        (ItemKind.JIRA_QUERY, 'summary ~ "order by"', True),
        (ItemKind.JIRA_QUERY, "project = PAY ORDER BY created", False),
        (ItemKind.JIRA_QUERY, "  ", False),
    ],
)
def test_a_location_is_a_key_or_a_query(kind: ItemKind, location: str, is_right: bool):
    assert (location_fault(kind, location) is None) is is_right


@pytest.mark.parametrize("kind", [["text"], {"name": "text"}, 5])
def test_a_node_whose_type_is_no_text_is_none_that_we_know(kind: Any):
    inner = {"type": "paragraph", "content": [{"type": "text", "text": "seen"}]}
    assert text_of({"type": "doc", "content": [{"type": kind, "content": [inner]}]}) == "seen"
