"""`create_pull_request`: one open request from a branch to another, whatever the texts are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid5

import pytest

from dct_pipelines.actions.create_pull_request import ACTION
from dct_pipelines.domain.errors import ActionFailed, ConnectionDown, NotFound
from dct_pipelines.domain.hosting.keys import marks_in
from dct_pipelines.domain.hosting.port import HostedRequest, NewRequest
from dct_pipelines.domain.outcome import OutcomeStatus
from tests.fakes.code_host import FakeCodeHost
from tests.fakes.ports import EXECUTION
from tests.fakes.shop import SHOP, Shop

ASKED: dict[str, Any] = {"repository": "shop", "source": "feature/pay", "target": "qa"}
KEY = str(uuid5(EXECUTION, "step"))


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.at_host()
    return shop


def test_a_request_is_opened_with_all_that_was_asked(shop):
    outcome = shop.run(
        ACTION,
        **ASKED,
        title="Pay by card",
        body="What for.",
        draft=True,
        labels=["ready"],
        reviewers=["testers"],
    )
    assert outcome.status is OutcomeStatus.DONE
    assert outcome.outputs == {
        "number": 1,
        "url": "https://host.example.org/acme/shop/pull/1",
        "head": shop.feature,
        "created": True,
    }
    assert shop.host.opened[1] == NewRequest(
        repository="acme/shop",
        source="feature/pay",
        target="qa",
        title="Pay by card",
        body=f"What for.\n\n<!-- dct:{KEY} -->",
        is_draft=True,
        labels=("ready",),
        reviewers=("testers",),
        head=shop.feature,
    )
    assert [link.url for link in outcome.links] == [outcome.outputs["url"]]


def test_a_host_below_a_path_of_its_address_is_asked_for_the_repository_alone(shop):
    shop.at_host("gitlab")
    shop.library.connection_roots["forge"] = "/git"
    facts = shop.library.facts["shop"]
    shop.library.facts["shop"] = replace(facts, location="https://host.example.org/git/acme/shop")
    shop.run(ACTION, **ASKED)
    assert shop.host.opened[1].repository == "acme/shop"


def test_without_a_title_it_says_what_is_merged_where(shop):
    shop.run(ACTION, **ASKED)
    assert shop.host.opened[1].title == "Merge feature/pay into qa"
    assert shop.host.opened[1].body == f"<!-- dct:{KEY} -->"


def test_the_mark_is_announced_before_the_request_is_opened(shop):
    class Watching(FakeCodeHost):
        def open_request(self, wanted: NewRequest) -> HostedRequest:
            announced.extend(shop.records.own_writes)
            return super().open_request(wanted)

    announced: list[object] = []
    shop.connections.hosts["forge"] = Watching(shop.git, shop.host.repositories)
    shop.run(ACTION, **ASKED)
    assert announced == [(SHOP, KEY)]


def test_the_mark_is_what_a_listener_looks_for(shop):
    shop.run(ACTION, **ASKED, body="text")
    assert marks_in(shop.host.opened[1].body) == (KEY,)


def test_who_copies_the_mark_out_of_a_request_does_not_pass_for_us(shop):
    """The number has taken the mark's place, also when the attempt died before it could say so."""
    shop.run(ACTION, **ASKED)
    assert shop.records.own_writes == [(SHOP, "pull/1 opened")]
    shop.records.own_writes = [(SHOP, KEY)]
    shop.again(ACTION, **ASKED)
    assert shop.records.own_writes == [(SHOP, "pull/1 opened")]


def test_the_open_request_of_somebody_else_is_used(shop):
    theirs = NewRequest("acme/shop", "feature/pay", "qa", "By hand", "")
    shop.host.open_request(theirs)
    outcome = shop.run(ACTION, **ASKED)
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO
    assert (outcome.outputs["number"], outcome.outputs["created"]) == (1, False)
    assert shop.host.opened == {1: theirs}
    assert shop.records.own_writes == []


def test_an_attempt_that_died_after_opening_it_is_recognised(shop):
    first = shop.run(ACTION, **ASKED)
    second = shop.again(ACTION, **ASKED)
    assert (second.status, second.outputs) == (OutcomeStatus.DONE, first.outputs)
    assert len(shop.host.opened) == 1


def test_a_closed_request_is_not_reopened_but_followed_by_another(shop):
    shop.run(ACTION, **ASKED)
    shop.host.closed.add(1)
    assert shop.run(ACTION, **ASKED).outputs["number"] == 2


def test_a_source_that_the_target_contains_is_nothing_to_ask_for(shop):
    shop.repository.branch("qa", shop.feature)
    outcome = shop.run(ACTION, **ASKED)
    assert outcome.status is OutcomeStatus.NOTHING_TO_DO
    assert outcome.outputs == {"number": 0, "url": "", "head": shop.feature, "created": False}
    assert shop.host.opened == {}


def test_a_repository_that_is_not_at_a_host_is_told_what_is_missing():
    with pytest.raises(ActionFailed, match="a pull request needs a git host, and shop is not read through"):
        Shop().run(ACTION, **ASKED)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "feature/pey"}, "did you mean 'feature/pay'"),
        ({"target": "qaa"}, "did you mean 'qa'"),
        ({"target": "feature/pay"}, "into itself"),
        ({"source": "a..b"}, "not a valid reference name"),
        ({"source": "--upload-pack=x"}, "cannot be the name of a branch"),
        ({"labels": ["a,b"]}, "comma or a control character"),
        ({"labels": [""]}, "between 1 and 100"),
        ({"reviewers": ["a\nb"]}, "comma or a control character"),
        ({"reviewers": ["x" * 101]}, "between 1 and 100"),
    ],
)
def test_what_cannot_be_asked_for_is_an_explained_failure(shop, changes, words):
    with pytest.raises(ActionFailed, match=words):
        shop.run(ACTION, **(ASKED | changes))
    assert shop.host.opened == {}


def test_an_item_that_does_not_exist_names_the_nearest(shop):
    with pytest.raises(NotFound, match="did you mean 'shop'"):
        shop.run(ACTION, **(ASKED | {"repository": "shp"}))


def test_a_host_that_is_away_is_tried_again(shop):
    shop.host.outage = ConnectionDown("the host is away")
    with pytest.raises(ConnectionDown) as caught:
        shop.run(ACTION, **ASKED)
    assert caught.value.transient


@pytest.mark.parametrize(
    "branch", ["$(id)", "a;touch${IFS}x", "{{ steps.x }}", "feature/%2e%2e", "ümläut/😀"]
)
def test_a_hostile_branch_is_only_a_name(shop, branch):
    if "{" in branch:
        branch = branch.replace(" ", "")
    shop.repository.branch(branch, shop.feature)
    shop.run(ACTION, **(ASKED | {"source": branch}))
    assert shop.host.opened[1].source == branch
    assert shop.host.opened[1].title == f"Merge {branch} into qa"


@pytest.mark.parametrize(
    ("title", "made"),
    [
        ("x" * 100_000, "x" * 254 + "…"),
        ("two\nlines\r\n\tof\x00 it\x1b[31m", "two lines of it[31m"),
        ("{{ steps.x }}", "{{ steps.x }}"),
        ("a \u202ehidden\u202c word\u200b", "a hidden word"),
        (" <!-- nothing --> ", "Merge feature/pay into qa"),
        ("token ghp_" + "a" * 36, "token [secret removed]"),
    ],
)
def test_a_title_is_one_bounded_line_that_hides_nothing(shop, title, made):
    shop.run(ACTION, **ASKED, title=title)
    assert shop.host.opened[1].title == made


def test_a_body_cannot_carry_the_mark_of_another_write(shop):
    shop.run(ACTION, **ASKED, body="before <!-- dct:11111111 --> after <!-- dct:222")
    assert marks_in(shop.host.opened[1].body) == (KEY,)


def test_a_body_gives_the_host_no_commands(shop):
    shop.run(ACTION, **ASKED, body="/merge\ntext /close\n  /approve\n> /label ~x\n/ 2 is half\nhttps://a/b")
    assert shop.host.opened[1].body.splitlines()[:6] == [
        "\\/merge",
        "text /close",
        "  \\/approve",
        "> \\/label ~x",
        "/ 2 is half",
        "https://a/b",
    ]


def test_a_very_long_body_is_cut_and_keeps_its_mark(shop):
    shop.run(ACTION, **ASKED, body="x" * 300_000)
    body = shop.host.opened[1].body
    assert len(body) < 25_000
    assert marks_in(body) == (KEY,)


def test_a_dry_run_opens_nothing_and_says_what_it_would(shop):
    outcome = shop.rehearse(ACTION, **ASKED)
    assert "open a pull request" in outcome.summary
    assert "feature/pay" in outcome.summary
