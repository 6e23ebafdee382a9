"""How names are compared, and globs for branches."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.matching import (
    GlobIndex,
    branch_anchors,
    fold,
    glob_anchor,
    glob_fault,
    glob_matches,
    is_called,
    literal_of,
    same_person,
    shown,
)

LETTERS = "abB-"
names = st.lists(st.text(LETTERS, min_size=1, max_size=4), min_size=1, max_size=4).map("/".join)
globs = st.lists(
    st.one_of(st.just("**"), st.text(LETTERS + "*?", min_size=1, max_size=4)), min_size=1, max_size=4
).map("/".join)


def part_matches(glob: str, part: str) -> bool:
    """The rule within a part, spelled out."""
    if not glob:
        return not part
    if glob[0] == "*":
        return any(part_matches(glob[1:], part[start:]) for start in range(len(part) + 1))
    return bool(part) and glob[0] in ("?", part[0]) and part_matches(glob[1:], part[1:])


def matches(glob: list[str], name: list[str]) -> bool:
    """The rule across parts, spelled out."""
    if not glob:
        return not name
    if glob[0] == "**":
        fewest = 1 if len(glob) == 1 else 0
        return any(matches(glob[1:], name[start:]) for start in range(fewest, len(name) + 1))
    return bool(name) and part_matches(glob[0], name[0]) and matches(glob[1:], name[1:])


@given(globs, names)
def test_a_glob_matches_what_its_rule_spelled_out_says(glob: str, name: str):
    assume(glob_fault(glob) is None)
    expected = matches(glob.casefold().split("/"), name.casefold().split("/"))
    assert glob_matches(glob, name) == expected
    assert not expected or glob_anchor(glob) in branch_anchors(name)


@given(st.lists(globs.filter(lambda glob: glob_fault(glob) is None), max_size=8), names)
def test_the_index_of_globs_finds_what_each_glob_alone_matches(several: list[str], name: str):
    found = GlobIndex((glob, place) for place, glob in enumerate(several)).find(name)
    assert sorted(found) == [place for place, glob in enumerate(several) if glob_matches(glob, name)]


@pytest.mark.parametrize(
    ("glob", "branch", "expected"),
    [
        ("feature/*", "feature/a", True),
        ("feature/*", "feature/a/b", False),
        ("feature/**", "feature/a/b", True),
        ("feature/**", "feature", False),
        ("**/hotfix", "hotfix", True),
        ("a/**/b", "a/b", True),
        ("release-?.?", "release-1.2", True),
        ("FEATURE/*", "Feature/X", True),
        ("*", "--upload-pack=x", True),
        ("feature/$(id)", "feature/$(id)", True),
    ],
)
def test_stars_stay_within_a_part_and_double_stars_do_not(glob: str, branch: str, expected: bool):
    assert glob_matches(glob, branch) is expected


@pytest.mark.parametrize("glob", ["", "a b", "a//b", "/a", "a**", "**a/b", "[ab]", "refs/heads/main", "a\nb"])
def test_a_glob_that_no_branch_can_match_is_refused_with_the_reason(glob: str):
    assert glob_fault(glob)


@pytest.mark.parametrize(
    ("glob", "branch"),
    [("*a" * 60, "a" * 1000 + "b"), ("/".join(["**", "*a*"] * 20), "/".join(["aab"] * 100) + "/c")],
)
def test_no_glob_takes_more_than_linear_time(glob: str, branch: str):
    start = time.process_time()
    glob_matches(glob, branch)
    assert time.process_time() - start < 0.5


@given(st.text())
def test_folding_twice_is_folding_once(text: str):
    assert fold(fold(text)) == fold(text)


def test_composed_and_decomposed_letters_are_the_same_name():
    assert fold("Jose\u0301  Ni\u00f1o") == fold("JOS\u00c9 nin\u0303o")


@given(st.text())
def test_what_is_shown_is_one_bounded_line(text: str):
    assert len(shown(text)) <= 120
    assert all(char.isprintable() for char in shown(text))


def test_people_are_the_same_by_their_ids_and_by_a_name_only_without_ids():
    assert not same_person(Person(id="1", name="Sam"), Person(id="2", name="Sam"))
    assert same_person(Person(id="1", name="Sam"), Person(name="sam"))
    assert same_person(None, None)
    assert not same_person(None, Person(id="1"))


def test_a_person_is_called_by_id_name_or_address():
    person = Person(id="U17", name="Sam Sample", email="sam@example.invalid")
    assert all(is_called(person, name) for name in ("u17", "SAM  SAMPLE", "Sam@Example.invalid"))
    assert not is_called(person, "Sam")


@pytest.mark.parametrize(
    ("regex", "literal"),
    [
        (r"\bhotfix-\d+\b", "hotfix-"),
        (r"^Release 1\.2$", "release 1"),
        (r"a|b", ""),
        (r"(?i)abc", ""),
        (r"abc?", ""),
        (r"\x41bc", ""),
        (r"\QA.B\E", ""),
        (r"grün", ""),
    ],
)
def test_the_text_that_every_match_contains_is_only_taken_from_plain_expressions(regex: str, literal: str):
    assert literal_of(regex) == literal
