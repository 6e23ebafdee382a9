"""What of Gitea's answers we read, checked where it comes in; what we do not read may change freely.

Source: https://docs.gitea.com/api/ (the same shapes at Forgejo).
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.hosting.people import gitea_person


class Shape(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


def _or_none(value: Any) -> Any:
    return [] if value is None else value


Text = Annotated[str, BeforeValidator(_or_empty)]
"""A text that is left out as null."""


class User(Shape):
    """Somebody."""

    id: int
    login: str
    full_name: Text = ""

    @property
    def person(self) -> Person:
        """In our words."""
        return gitea_person(self.id, self.login, self.full_name)


class Branch(Shape):
    """One side of a pull request. `ref` is a branch's name, of a deleted one `refs/pull/<number>/head`."""

    ref: str
    sha: Text = ""
    repo_id: int = 0


class PullRequest(Shape):
    """A pull request. Older servers do not tell whether it is a draft: its title does."""

    number: int
    title: Text = ""
    body: Text = ""
    state: str
    draft: bool | None = None
    merged: bool = False
    mergeable: bool = False
    merge_commit_sha: Text = ""
    html_url: Text = ""
    created_at: AwareDatetime
    updated_at: AwareDatetime
    user: User | None = None
    head: Branch
    base: Branch

    @property
    def is_open(self) -> bool:
        """Whether it is open."""
        return self.state == "open"

    @property
    def is_draft(self) -> bool:
        """Whether it is a draft, by the server's word or its default prefixes."""
        if self.draft is not None:
            return self.draft
        return self.title.casefold().startswith(("wip:", "[wip]"))

    @property
    def is_from_fork(self) -> bool:
        """Whether its head is of another repository."""
        return self.head.repo_id != self.base.repo_id


class Issue(Shape):
    """A pull request as the list of issues tells it."""

    number: int
    created_at: AwareDatetime
    updated_at: AwareDatetime


class PullReview(Shape):
    """A review. `commit_id` is the head that it was given for; `official` says that it counts."""

    id: int
    user: User | None = None
    state: str
    body: Text = ""
    commit_id: Text = ""
    dismissed: bool = False
    official: bool = False
    submitted_at: AwareDatetime
    updated_at: AwareDatetime | None = None
    comments_count: int = 0
    html_url: Text = ""


class Comment(Shape):
    """A comment, or one on a line."""

    id: int
    user: User | None = None
    body: Text = ""
    created_at: AwareDatetime
    updated_at: AwareDatetime
    html_url: Text = ""


class Status(Shape):
    """A status of a commit."""

    id: int = 0
    context: str
    status: str
    target_url: Text = ""


class CombinedStatus(Shape):
    """The latest status of each context, a page of them."""

    total_count: int = 0
    statuses: Annotated[list[Any], BeforeValidator(_or_none)] = Field(default_factory=list)


class Label(Shape):
    """A label, which is given to a pull request by its id."""

    id: int
    name: str


class WorkflowRun(Shape):
    """A run of a workflow."""

    id: int
    status: Text = ""
    conclusion: Text = ""
    display_title: Text = ""
    html_url: Text = ""
    path: Text = ""


class RunDetails(Shape):
    """What a dispatch became, told by newer servers."""

    workflow_run_id: int
    html_url: Text = ""


class Version(Shape):
    """The server's release."""

    version: str


class Rights(Shape):
    """What we may do in a repository."""

    admin: bool = False
    push: bool = False
    pull: bool = False


class Repository(Shape):
    """A repository."""

    full_name: str
    default_branch: Text = ""
    permissions: Rights = Rights()
