"""What of GitLab's answers we read, checked where it comes in; what we do not read may change freely.

Source: https://docs.gitlab.com/api/merge_requests/ and its sibling pages.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict

from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.hosting.people import gitlab_person

_AT_ONCE = timedelta(seconds=1)
"""GitLab writes a note in several steps; what falls into one second is one of them."""


class Shape(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _or_empty(value: Any) -> Any:
    return "" if value is None else value


Text = Annotated[str, BeforeValidator(_or_empty)]
"""A text that GitLab leaves out as null."""

Flag = Annotated[bool, BeforeValidator(lambda value: False if value is None else value)]
"""A flag that may be null: GitLab's description of its interface promises none. Null is no."""


class User(Shape):
    """Somebody. `bot` is told by newer releases only; before that, bots are known by their names."""

    id: int
    username: str
    name: Text = ""
    bot: bool | None = None

    @property
    def person(self) -> Person:
        """In our words; the user name is what never is free text."""
        return gitlab_person(self.username, self.name, self.bot)


class MergeRequest(Shape):
    """A merge request, as in lists and alone. `sha` is null while GitLab prepares it."""

    iid: int
    title: Text = ""
    description: Text = ""
    state: str
    source_branch: str
    target_branch: str
    source_project_id: int | None = None
    target_project_id: int | None = None
    sha: Text = ""
    draft: Flag = False
    web_url: Text = ""
    created_at: AwareDatetime
    updated_at: AwareDatetime
    author: User | None = None
    reviewers: tuple[User, ...] = ()
    merge_commit_sha: Text = ""
    squash_commit_sha: Text = ""
    has_conflicts: Flag = False
    detailed_merge_status: Text = ""

    @property
    def is_merged(self) -> bool:
        """Whether it is merged."""
        return self.state == "merged"

    @property
    def is_open(self) -> bool:
        """Open, or locked, as it is while GitLab merges it."""
        return self.state in ("opened", "locked")

    @property
    def is_from_fork(self) -> bool:
        """Whether its source branch is of another project."""
        return self.source_project_id != self.target_project_id


class Pipeline(Shape):
    """A pipeline, as in lists and alone."""

    id: int
    status: str
    ref: Text = ""
    sha: Text = ""
    source: Text = ""
    web_url: Text = ""
    updated_at: AwareDatetime | None = None


class Variable(Shape):
    """A variable of a pipeline."""

    key: str
    value: Text = ""


class Status(Shape):
    """A status of a commit: a job of a pipeline, or what somebody reported."""

    id: int
    name: str
    status: str
    allow_failure: Flag = False
    target_url: Text = ""


class Environment(Shape):
    """Where something is deployed."""

    name: str


class Deployment(Shape):
    """A deployment."""

    id: int
    sha: Text = ""
    status: str
    environment: Environment


class CommitRef(Shape):
    """A branch or tag that holds a commit."""

    name: str


class Approver(Shape):
    """Somebody who approved, and when; older releases do not say when."""

    user: User
    approved_at: AwareDatetime | None = None


class Approvals(Shape):
    """Who approved. `approved` is not read: it is true where nobody has to approve."""

    approved_by: tuple[Approver, ...] = ()


class Reviewer(Shape):
    """Somebody who was asked for a review, and what they last said."""

    user: User
    state: Text = ""


class Note(Shape):
    """Something written below a merge request: by somebody, or (`system`) by GitLab about what they did."""

    id: int
    body: Text = ""
    author: User | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    resolved_at: AwareDatetime | None = None
    system: bool = False

    @property
    def edited_at(self) -> datetime | None:
        """When its text was last written anew; resolving its thread moves `updated_at` too and is no edit."""
        if self.updated_at - self.created_at < _AT_ONCE:
            return None
        is_resolving = self.resolved_at and abs(self.updated_at - self.resolved_at) < _AT_ONCE
        return None if is_resolving else self.updated_at


class Version(Shape):
    """A state of a merge request's changes: each push makes one."""

    head_commit_sha: str
    created_at: AwareDatetime


class Token(Shape):
    """The token that we use; `expires_at` is a date."""

    scopes: tuple[str, ...] = ()
    expires_at: str | None = None


class Metadata(Shape):
    """The server."""

    version: str


class Project(Shape):
    """A project."""

    path_with_namespace: str
    default_branch: str | None = None

    @property
    def branch(self) -> str:
        """The default branch, in words."""
        return self.default_branch or "(none yet)"
