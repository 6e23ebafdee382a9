"""Commits that a host makes for us are known by their trailers until their id is known."""

from __future__ import annotations

from uuid import UUID

import pytest

from dct_pipelines.domain.own_marks import mark_of, marks_in, trailers_of
from tests.fakes.ports import EXECUTION
from tests.support.git_reading import GitDesk, begun

MARK = mark_of(EXECUTION, "merge")
OTHER = UUID(int=7)


def message(*trailers: dict[str, str], subject: str = "Merge it") -> str:
    lines = [f"{name}: {value}" for trailer in trailers for name, value in trailer.items()]
    return "\n".join([subject, "", *lines])


@pytest.fixture
def desk() -> GitDesk:
    return begun()


def test_the_trailers_stand_for_the_mark():
    assert marks_in(message(trailers_of(EXECUTION, "merge"))) == (MARK,)


def test_the_last_trailers_count_for_ours_stand_at_the_end():
    assert marks_in(message(trailers_of(OTHER, "x"), trailers_of(EXECUTION, "merge"))) == (MARK,)


@pytest.mark.parametrize(
    "text",
    [
        "Merge it",
        f"Dct-Execution: {EXECUTION}",
        f"Dct-Execution: {EXECUTION}\n\nDct-Step: merge",
        f"x Dct-Execution: {EXECUTION}\nDct-Step: merge",
        "Dct-Execution: \nDct-Step: merge",
        "Dct-Execution: " * 10_000,
        "Dct-Step: merge\n" * 10_000,
    ],
)
def test_what_is_not_both_trailers_is_no_mark(text):
    assert marks_in(text) == ()


def test_every_event_of_a_new_head_may_be_found_by_the_mark(desk: GitDesk):
    base = desk.repository.head("main")
    assert base
    head = desk.repository.commit(
        "feature/x", {"b.txt": "1"}, message(trailers_of(EXECUTION, "merge")), parents=[base]
    )
    events = desk.tick()
    assert [event.payload.kind for event in events] == ["branch_created", "branch_assessed"]
    assert {event.external_ids for event in events} == {(head, MARK)}


def test_a_mark_below_the_head_says_nothing_of_the_head(desk: GitDesk):
    desk.repository.commit("main", {"b.txt": "1"}, message(trailers_of(EXECUTION, "merge")))
    head = desk.repository.commit("main", {"b.txt": "2"}, "On top")
    assert {event.external_ids for event in desk.tick()} == {(head,)}
