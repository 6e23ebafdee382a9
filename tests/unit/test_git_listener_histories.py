"""The git listener on random histories, read at random moments, with processes that die before they store.

Whatever happens, the stored events tell the story of every branch without a gap or a repeat, and lead from
the first state to the last.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.condition import AssessmentAsk
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.git_refs import Oid
from dct_pipelines.domain.payloads import (
    BranchAssessed,
    BranchCreated,
    BranchDeleted,
    CheckReported,
    ForcePushed,
    HeadMoved,
    TagCreated,
)
from dct_pipelines.domain.words import CheckState
from tests.support.git_reading import URL, GitDesk

BRANCHES = ("main", "qa", "feature/a", "feature/b", "feature/b/c")
ASKS = (AssessmentAsk("feature/**", None, 30), AssessmentAsk("feature/*", "qa"))
branches = st.sampled_from(BRANCHES)
others = st.sampled_from(BRANCHES[1:])
files = st.sampled_from(["a.txt", "b.txt"])
steps = st.one_of(
    st.tuples(st.just("commit"), branches, files, st.integers(0, 2)),
    st.tuples(st.just("move"), others, branches),
    st.tuples(st.just("back"), branches),
    st.tuples(st.just("delete"), others),
    st.tuples(st.just("tag"), branches),
    st.tuples(st.just("check"), branches, st.sampled_from(["unit", "lint"]), st.sampled_from(CheckState)),
    st.tuples(st.just("tick"), st.sampled_from([1, 20, 40])),
    st.tuples(st.just("crash"), st.integers(0, 2)),
)


class Story:
    """Plays steps on a desk as users, a CI and a scheduler would."""

    def __init__(self, page_size: int) -> None:
        self.desk = GitDesk(asks=ASKS, page_size=page_size)
        self.commits = 0
        self.commit("main", "a.txt", 0)
        self.desk.tick()
        self.first = dict(self.desk.repository.refs)

    def play(self, step: tuple[Any, ...]) -> None:
        getattr(self, step[0])(*step[1:])

    def commit(self, branch: str, file: str, text: int) -> None:
        self.commits += 1
        head = self.desk.repository.head(branch) or self.desk.repository.head("main")
        parents = [head] if head else []
        message = f"Commit {self.commits}"
        self.desk.repository.commit(branch, {file: str(text)}, message, parents=parents)

    def move(self, branch: str, where: str) -> None:
        if head := self.desk.repository.head(where):
            self.desk.repository.branch(branch, head)

    def back(self, branch: str) -> None:
        head = self.desk.repository.head(branch)
        if head and (parents := self.desk.git.objects.commits[head].parents):
            self.desk.repository.branch(branch, parents[0])

    def delete(self, branch: str) -> None:
        if self.desk.repository.head(branch):
            self.desk.repository.delete_branch(branch)

    def tag(self, branch: str) -> None:
        if head := self.desk.repository.head(branch):
            self.desk.repository.tag("v1", head)

    def check(self, branch: str, name: str, state: CheckState) -> None:
        if head := self.desk.repository.head(branch):
            self.desk.report(head, name, state)

    def tick(self, seconds: int) -> None:
        self.desk.tick(seconds)

    def crash(self, stored_pages: int) -> None:
        self.desk.tick(1, stored_pages=stored_pages)


stories = st.lists(steps, max_size=25)


def told(page_size: int, story: list[tuple[Any, ...]]) -> Story:
    played = Story(page_size)
    for step in story:
        played.play(step)
    played.desk.tick(1)
    return played


def heads_of(story: Story, prefix: str) -> dict[str, Oid]:
    refs = story.desk.repository.refs
    return {name.removeprefix(prefix): oid for name, oid in refs.items() if name.startswith(prefix)}


@given(st.sampled_from([1, 3, 200]), stories)
def test_the_events_of_every_branch_lead_from_the_first_state_to_the_last_without_a_gap(page_size, story):
    played = told(page_size, story)
    heads = {name.removeprefix("refs/heads/"): oid for name, oid in played.first.items()}
    for event in played.desk.events:
        match event.payload:
            case BranchCreated(branch=branch, head=head):
                assert branch not in heads
                heads[branch] = Oid(head)
            case (HeadMoved() | ForcePushed()) as moved:
                assert heads[moved.branch] == moved.before != moved.head
                is_forward = moved.before in played.desk.git.objects.history(Oid(moved.head))
                assert isinstance(moved, HeadMoved) is is_forward
                heads[moved.branch] = Oid(moved.head)
            case BranchDeleted(branch=branch, head=head):
                assert heads.pop(branch) == head
            case CheckReported() | BranchAssessed() as derived:
                assert heads[derived.branch] == derived.head
    assert heads == heads_of(played, "refs/heads/")


@given(st.sampled_from([1, 200]), stories)
def test_tags_are_told_each_time_they_appear_or_move(page_size, story):
    played = told(page_size, story)
    tagged = [event.payload for event in played.desk.events if isinstance(event.payload, TagCreated)]
    assert [tag.before for tag in tagged] == [None, *(tag.commit for tag in tagged)][: len(tagged)]
    assert heads_of(played, "refs/tags/") == ({"v1": tagged[-1].commit} if tagged else {})


@given(st.sampled_from([1, 3, 200]), stories)
def test_every_head_ends_with_the_checks_that_were_reported_for_it_and_none_is_told_twice(page_size, story):
    played = told(page_size, story)
    known: dict[tuple[str, str], dict[str, CheckState]] = {}
    for event in played.desk.events:
        match event.payload:
            case BranchCreated() | HeadMoved() | ForcePushed() as moved:
                known[moved.branch, moved.head] = {}
            case CheckReported() as report:
                before = known.setdefault((report.branch, report.head), {})
                assert before.get(report.name) is not report.state
                known[report.branch, report.head] = before = {**before, report.name: report.state}
                assert report.checks == before
    for branch, head in heads_of(played, "refs/heads/").items():
        reported = played.desk.checks.get(head, {})
        assert played.desk.state(branch).checks == {name: check["state"] for name, check in reported.items()}
        assert known.get((branch, head), {}) == played.desk.state(branch).checks


def asked(story: Story) -> Iterator[tuple[str, str]]:
    """What has to have been compared: heads that moved since the first read, with targets that are there."""
    refs = story.desk.repository
    for branch in heads_of(story, "refs/heads/"):
        if branch.startswith("feature/") and refs.head(branch) != story.first.get(f"refs/heads/{branch}"):
            yield from ((branch, target) for target in ("main",) if refs.head("main"))
            if branch != "feature/b/c" and refs.head("qa"):
                yield branch, "qa"


@given(st.sampled_from([1, 3, 200]), stories)
def test_every_head_that_was_pushed_is_compared_with_its_targets_as_they_matter(page_size, story):
    played = told(page_size, story)
    desk = played.desk
    last = {
        (found.branch, found.target): found
        for found in (event.payload for event in desk.events)
        if isinstance(found, BranchAssessed)
    }
    for branch, target in asked(played):
        head, target_head = desk.repository.head(branch), desk.repository.head(target)
        assert head
        assert target_head
        [truth] = desk.git.assess(RepositoryRef(URL), target_head, [head])
        found = last[branch, target]
        assert found.head == head
        assert found.checks == desk.state(branch).checks
        is_solved = truth.merge.clean and not found.merges_cleanly
        is_overtaken = truth.ahead_behind.ahead > 0 and found.ahead == 0
        assert not is_solved
        assert not is_overtaken


@given(st.sampled_from([1, 200]), stories)
def test_a_tick_after_the_last_one_brings_nothing(page_size, story):
    played = told(page_size, story)
    assert played.desk.tick(0) == []
    [page] = played.desk.pages()
    assert page.is_unchanged


@given(stories)
def test_a_quiet_time_is_told_once_for_each_head_and_target(story):
    played = told(200, story)
    played.desk.tick(60)
    quiet = [
        (found.branch, found.head, found.target)
        for found in (event.payload for event in played.desk.events)
        if isinstance(found, BranchAssessed) and found.target == "main" and found.quiet_seconds >= 30
    ]
    now = {
        (branch, head, "main")
        for branch, head in heads_of(played, "refs/heads/").items()
        if branch.startswith("feature/")
    }
    assert now <= set(quiet)
    assert not played.desk.timers
