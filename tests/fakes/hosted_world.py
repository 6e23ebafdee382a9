"""One repository of a git host with its pull requests: the history that servers of ours tell in their words.

What has to do with git (heads, merges) is done by `FakeCodeHost`, which all hosts' contract holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.hosting.port import NewRequest
from tests.fakes.code_host import FakeCodeHost
from tests.fakes.git import FakeGit
from tests.fakes.git_repository import FakeRepository
from tests.fakes.ports import FakeClock

REPOSITORY = "acme/shop"


@dataclass
class Written:
    """A comment, or (`system`) the host's own note about what somebody did. `line`: of that review."""

    id: int
    user: str
    text: str
    created_at: datetime
    updated_at: datetime
    system: bool = False
    line: int | None = None


@dataclass
class Opinion:
    """A review. `state`: approved, changes_requested or commented."""

    id: int
    user: str
    state: str
    head: str
    at: datetime
    text: str = ""
    is_dismissed: bool = False
    is_official: bool = True


@dataclass
class WorldRequest:
    """A pull request. `versions` are its heads, each with the time of its push."""

    number: int
    source: str
    target: str
    title: str
    body: str
    author: str
    created_at: datetime
    updated_at: datetime
    is_draft: bool = False
    is_from_fork: bool = False
    is_closed: bool = False
    comments: list[Written] = field(default_factory=list)
    opinions: list[Opinion] = field(default_factory=list)
    versions: list[tuple[str, datetime]] = field(default_factory=list)


@dataclass
class Reported:
    """A status of a commit; of one name the last one counts."""

    id: int
    commit: str
    name: str
    state: str
    allow_failure: bool = False


class HostedWorld:
    """`main` and `qa`, and whatever is done with it. Ids ascend over everything."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.git = FakeGit()
        self.shop: FakeRepository = self.git.repository("/srv/shop.git")
        base = self.shop.commit("main", {"a.txt": "1\n"})
        self.shop.branch("qa", base)
        self.repository_ref = RepositoryRef("/srv/shop.git")
        self.code = FakeCodeHost(self.git, {REPOSITORY: self.shop})
        self.requests: dict[int, WorldRequest] = {}
        self.statuses: list[Reported] = []
        self._last_id = 1000

    def next_id(self) -> int:
        """An id that nothing had before."""
        self._last_id += 1
        return self._last_id

    def head(self, request: WorldRequest) -> str:
        """The head of a pull request; of a deleted branch its last one."""
        return str(self.shop.head(request.source) or request.versions[-1][0])

    def is_merged(self, request: WorldRequest) -> bool:
        """Whether it is merged."""
        return request.number in self.code.merged

    def is_open(self, request: WorldRequest) -> bool:
        """Whether it is neither merged nor closed."""
        return not request.is_closed and not self.is_merged(request)

    def open(
        self, source: str, target: str = "qa", title: str = "Pay by card", body: str = "", user: str = "dev"
    ) -> WorldRequest:
        """Somebody opens a pull request; a missing branch is made."""
        if self.shop.head(source) is None:
            base = self.shop.head("main")
            assert base is not None
            self.shop.commit(source, {f"{source}.txt": "new\n"}, parents=[base])
        number = self.code.open_request(NewRequest(REPOSITORY, source, target, title, body)).number
        now = self.clock.now()
        request = WorldRequest(number, source, target, title, body, user, now, now)
        request.versions.append((self.head(request), now))
        self.requests[number] = request
        return request

    def push(self, request: WorldRequest, text: str) -> str:
        """A new commit on the source branch."""
        head = str(self.shop.commit(request.source, {f"{request.source}.txt": text}))
        request.versions.append((head, self.clock.now()))
        self.touch(request)
        return head

    def comment(self, request: WorldRequest, text: str, user: str = "lead", **more: object) -> Written:
        """Somebody writes something."""
        now = self.clock.now()
        written = Written(self.next_id(), user, text, now, now, **more)  # type: ignore[arg-type] # fields
        request.comments.append(written)
        self.touch(request)
        return written

    def edit(self, request: WorldRequest, written: Written, text: str) -> None:
        """Somebody writes it otherwise."""
        written.text, written.updated_at = text, self.clock.now()
        self.touch(request)

    def delete(self, request: WorldRequest, written: Written) -> None:
        """Somebody takes it back. At no host that counts as an update of the pull request."""
        request.comments.remove(written)

    def review(self, request: WorldRequest, user: str, state: str, text: str = "") -> Opinion:
        """Somebody says what they think of the present head."""
        now = self.clock.now()
        opinion = Opinion(self.next_id(), user, state, self.head(request), now, text)
        request.opinions.append(opinion)
        self.touch(request)
        return opinion

    def retitle(self, request: WorldRequest, title: str) -> str:
        """Another title; returns the one before."""
        before, request.title = request.title, title
        self.touch(request)
        return before

    def close(self, request: WorldRequest, *, is_closed: bool = True) -> None:
        """Close it without merging, or open it again."""
        request.is_closed = is_closed
        (self.code.closed.add if is_closed else self.code.closed.discard)(request.number)
        self.touch(request)

    def draft(self, request: WorldRequest, is_draft: bool) -> None:
        """Make it a draft, or ready."""
        request.is_draft = is_draft
        asked = self.code.opened[request.number]
        self.code.opened[request.number] = replace(asked, is_draft=is_draft)
        self.touch(request)

    def report(self, commit: str, name: str, state: str, *, allow_failure: bool = False) -> None:
        """A check of a commit, in the host's words."""
        self.statuses.append(Reported(self.next_id(), commit, name, state, allow_failure))

    def latest(self, commit: str) -> list[Reported]:
        """The last status of each name of a commit."""
        return list({one.name: one for one in self.statuses if one.commit == commit}.values())

    def touch(self, request: WorldRequest) -> None:
        """It was updated."""
        request.updated_at = max(self.clock.now(), request.updated_at)
