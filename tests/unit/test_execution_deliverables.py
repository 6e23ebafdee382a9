"""Deliverables are checked, not believed."""

from __future__ import annotations

from typing import Any

from dct_pipelines.domain.deliverable import find_missing, is_place


def missing(wanted: str, outputs, *, there=()):
    return [str(one) for one in find_missing([wanted], outputs, lambda _step, path: path in there)]


def test_an_output_that_is_there_is_enough():
    assert missing("merge.commit", {"merge": {"commit": "abc"}}) == []
    assert missing("tests.failures", {"tests": {"failures": 0}}) == []


def test_an_empty_output_is_missing():
    nothings: tuple[Any, ...] = (None, "", [], {})
    for empty in nothings:
        assert missing("merge.commit", {"merge": {"commit": empty}}) == ["merge.commit: merge gave no commit"]


def test_a_step_that_was_not_done_is_named():
    assert missing("merge.commit", {}) == ["merge.commit: the action merge was not done"]


def test_a_path_must_be_there():
    outputs = {"ws": {"path": "/w/1", "report_file": "r.xml"}}
    assert missing("ws.path", outputs, there=["/w/1"]) == []
    assert missing("ws.report_file", outputs) == ["ws.report_file: r.xml does not exist"]
    assert missing("ws.path", {"ws": {"path": 3}}) == ["ws.path: 3 does not exist"]


def test_only_names_of_places_are_looked_for():
    assert [is_place(name) for name in ("path", "archive_path", "directory", "pathology", "commit")] == [
        True,
        True,
        True,
        False,
        False,
    ]
