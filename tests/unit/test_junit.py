"""JUnit XML: counted by its cases, and never trusted."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.errors import ActionFailed
from dct_pipelines.domain.junit import Tally, read_report, tally, tally_of_summary

PYTEST = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites name="pytest tests"><testsuite name="pytest" errors="1" failures="1" skipped="1" tests="4">
<testcase classname="tests.test_a" name="test_one" time="0.001"/>
<testcase classname="tests.test_a" name="test_two"><failure message="assert 1 == 2">E</failure></testcase>
<testcase classname="tests.test_a" name="test_three"><error message="fixture">boom</error></testcase>
<testcase classname="tests.test_a" name="test_four"><skipped type="pytest.skip"/></testcase>
</testsuite></testsuites>"""


def test_cases_are_counted_and_failing_ones_named():
    assert read_report(PYTEST) == Tally(4, 1, 1, 1, ("tests.test_a::test_two", "tests.test_a::test_three"))


def test_suites_may_stand_in_suites_and_lie_about_their_totals():
    nested = (
        b'<testsuite tests="99"><testsuite><testcase name="a"/></testsuite><testcase name="b"/></testsuite>'
    )
    assert read_report(nested) == Tally(2)


def test_a_case_with_a_failure_and_an_error_counts_once():
    both = b'<testsuite><testcase name="a"><failure/><error/><skipped/></testcase></testsuite>'
    assert read_report(both) == Tally(1, 1, 0, 0, ("a",))


def test_reports_add_up():
    assert tally([PYTEST, PYTEST]).tests == 8
    assert tally([]) == Tally()


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (b"", "not well-formed"),
        (b"<testsuite>", "not well-formed"),
        (b'<!DOCTYPE t [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><testsuite>&b;</testsuite>', "document type"),
        (b'<!DOCTYPE t SYSTEM "http://example.org/x.dtd"><testsuite/>', "document type"),
        (b"<a>" * 60, "nested deeper"),
        (b"<testsuite>&undefined;</testsuite>", "not well-formed"),
    ],
)
def test_what_cannot_be_read_or_trusted_is_refused(report, words):
    with pytest.raises(ActionFailed, match=words):
        read_report(report)


def test_no_tests_or_only_skipped_ones_are_no_pass():
    assert not Tally().is_pass
    assert not Tally(tests=2, skipped=2).is_pass
    assert Tally(tests=2, skipped=1).is_pass
    assert not Tally(tests=2, failures=1).is_pass


def test_only_the_first_failing_names_are_shown():
    many = Tally(30, 30, 0, 0, tuple(f"t{number}" for number in range(30)))
    assert many.shown_failing.endswith("t9 and 20 more")


def test_a_hundred_thousand_cases_are_read_in_a_second():
    report = b"<testsuite>" + b'<testcase name="a"><failure/></testcase>' * 100_000 + b"</testsuite>"
    started = time.process_time()
    assert read_report(report).tests == 100_000
    assert time.process_time() - started < 2


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_counts_survive_being_put_in_words(passed, failures, errors, skipped):
    names = tuple(f"t{number}" for number in range(failures + errors))
    counted = Tally(passed + failures + errors + skipped, failures, errors, skipped, names)
    found = tally_of_summary(str(counted))
    assert found == Tally(counted.tests, failures, errors, skipped)


def test_other_words_are_no_counts():
    assert tally_of_summary("the command did not end within 900 s") is None


@given(st.binary(max_size=200))
def test_any_bytes_are_either_read_or_refused(report):
    try:
        assert read_report(report).tests >= 0
    except ActionFailed:
        return
