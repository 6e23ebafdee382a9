"""What the listeners of git hosts share: places, opinions, marks, and whose checks are asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.facts import Approval, Person
from dct_pipelines.domain.hosting.heads import LONGEST_PENDING, MOST_HEADS, YOUNG, Heads
from dct_pipelines.domain.hosting.keys import marks_in
from dct_pipelines.domain.hosting.opinions import Review, latest_opinions
from dct_pipelines.domain.hosting.places import HostedPlace, place_fault, place_of
from dct_pipelines.domain.hosting.reader import HostedCheck
from dct_pipelines.domain.words import CheckState, ItemKind
from tests.fakes.ports import NOON

HEAD = "a" * 40


@pytest.mark.parametrize(
    ("location", "place"),
    [
        ("acme/shop", HostedPlace("acme/shop")),
        ("https://github.com/acme/shop.git", HostedPlace("acme/shop")),
        ("https://github.com/acme/shop/pull/12", HostedPlace("acme/shop", 12)),
        ("https://git.example.org/acme/shop/pulls/12/", HostedPlace("acme/shop", 12)),
        ("https://gitlab.com/a/b/c/-/merge_requests/3", HostedPlace("a/b/c", 3)),
        ("https://gitlab.com/acme/pull", HostedPlace("acme/pull")),
        ("acme", None),
        ("acme/../shop", None),
        ("https://github.com/acme/%2e%2e/x", None),
        ("https://github.com/acme/shop?x=1", HostedPlace("acme/shop")),
        ("acme/sh op", None),
    ],
)
def test_a_location_names_a_repository_or_a_pull_request(location: str, place: HostedPlace | None) -> None:
    assert place_of(location) == place


def test_a_host_may_lie_below_a_path() -> None:
    assert place_of("https://example.org/git/acme/shop", "/git") == HostedPlace("acme/shop")


@pytest.mark.parametrize(
    ("kind", "location", "is_right"),
    [
        (ItemKind.GIT_REPOSITORY, "acme/shop", True),
        (ItemKind.GIT_REPOSITORY, "acme/shop/pull/1", False),
        (ItemKind.PULL_REQUEST, "acme/shop/pull/1", True),
        (ItemKind.PULL_REQUEST, "acme/shop", False),
        (ItemKind.GIT_REPOSITORY, "shop", False),
    ],
)
def test_a_location_that_does_not_fit_its_item_is_said(kind: ItemKind, location: str, is_right: bool) -> None:
    assert (place_fault(kind, location) is None) is is_right


def test_marks_are_only_what_we_write() -> None:
    text = "<!-- dct:one --> <!--dct:two--> <!-- dct:a b --> <!-- dct:three:4 -->"
    assert marks_in(text) == ("one", "three:4")


def review(minute: int, who: str, state: str) -> Review:
    approval = Approval.model_validate({"user": Person(id=who), "head": HEAD, "state": state})
    return Review(approval, NOON + timedelta(minutes=minute))


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(("approved", "changes_requested", "commented")))
    ),
    st.randoms(),
)
def test_the_last_opinion_of_each_counts_in_whatever_order_reviews_come(given_in_order, chance):
    reviews = [review(minute, who, state) for minute, (who, state) in enumerate(given_in_order)]
    shuffled = list(reviews)
    chance.shuffle(shuffled)
    last = {who: state for who, state in given_in_order if state != "commented"}
    found = latest_opinions(shuffled)
    assert {str(approval.user.id): approval.state for approval in found} == last


def answered(state: CheckState | None) -> dict[str, dict[str, HostedCheck]]:
    return {HEAD: {"unit": HostedCheck(state)} if state else {}}


@pytest.mark.parametrize(
    ("state", "life"),
    [
        (None, YOUNG),
        (CheckState.SUCCESS, YOUNG),
        (CheckState.PENDING, LONGEST_PENDING),
    ],
)
def test_a_head_is_asked_for_while_its_checks_may_still_change(
    state: CheckState | None, life: timedelta
) -> None:
    heads = Heads.of(()).with_branches([HEAD], None, NOON)
    just_before, just_after = NOON + life - timedelta(seconds=1), NOON + life
    assert heads.settled(answered(state), just_before).commits == (HEAD,)
    assert heads.settled(answered(state), just_after).commits == ()


def test_a_check_that_could_not_be_read_is_still_pending() -> None:
    heads = Heads.of(()).with_branches([HEAD], None, NOON).settled(answered(CheckState.PENDING), NOON)
    assert heads.settled({}, NOON + YOUNG).commits == (HEAD,)


def test_a_head_that_is_nobodys_any_more_is_not_asked_for() -> None:
    heads = Heads.of(()).with_branches([HEAD], None, NOON)
    heads = heads.with_request(1, HEAD, NOON, is_news=True)
    assert heads.with_branches([], frozenset(), NOON).commits == (HEAD,)
    assert heads.with_branches([], frozenset(), NOON).with_request(1, None, NOON, is_news=False).commits == ()


def test_an_old_head_that_is_read_again_is_not_watched_again() -> None:
    assert Heads.of(()).with_request(1, HEAD, NOON, is_news=False).commits == ()


def test_only_so_many_heads_are_asked_for_the_newest_first() -> None:
    heads = Heads.of(())
    for number in range(MOST_HEADS + 5):
        heads = heads.with_branches([f"{number:040x}"], None, NOON + timedelta(seconds=number))
    assert len(heads.commits) == MOST_HEADS
    assert f"{0:040x}" not in heads.commits
