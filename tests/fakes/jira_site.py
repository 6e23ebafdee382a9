"""A Jira site in memory, and what people do there. Its own history is the truth of tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.fakes.ports import FakeClock

Json = dict[str, Any]
STATUSES = ("Open", "In Progress", "Ready for QA", "Done")
PRIORITIES = ("Highest", "High", "Medium", "Low", "Lowest")
PEOPLE = ("dev", "lead", "dct")


@dataclass
class Version:
    """One text that a comment has had; None when it was deleted."""

    text: str | None
    at: datetime
    author: str


@dataclass
class Comment:
    """A comment with every text it has had."""

    id: str
    author: str
    versions: list[Version]
    properties: list[Json] = field(default_factory=list)

    @property
    def is_there(self) -> bool:
        return self.versions[-1].text is not None


@dataclass
class Change:
    """An entry of the changelog: one field each, or several at once."""

    id: int
    at: datetime
    author: str
    items: list[tuple[str, str | None, str | None]]
    """(field, before, after)"""
    metadata: Json | None = None


@dataclass
class Issue:
    """A ticket. `values` are its fields as people see them."""

    id: int
    key: str
    created: datetime
    updated: datetime
    values: dict[str, str | None]
    creator: str
    first: dict[str, str | None]
    labels: list[str] = field(default_factory=list)
    old_keys: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    links: dict[str, Json] = field(default_factory=dict)
    is_deleted: bool = False

    @property
    def project(self) -> str:
        return self.key.rpartition("-")[0]


class JiraSite:
    """What is there, whoever asks. `lag()` says how many seconds the search index is behind each change."""

    def __init__(self, clock: FakeClock, *, is_cloud: bool, lag: Callable[[], float] = lambda: 0.0) -> None:
        self.clock = clock
        self.is_cloud = is_cloud
        self.lag = lag
        self.issues: dict[int, Issue] = {}
        self.index: dict[int, tuple[datetime, str, str]] = {}
        """By id: `updated`, project and status, as the search knows them."""
        self.is_reindexing = False
        self.posted: list[Json] = []
        """Deliveries, in their order."""
        self._behind: list[tuple[datetime, int]] = []
        self._ids = iter(range(10_000, 1_000_000))
        self._numbers: dict[str, int] = {}
        self._names: dict[str, int] = {}

    def moment(self) -> datetime:
        """The time as this Jira stores it: Data Center may keep whole seconds only."""
        now = self.clock.now()
        return now.replace(microsecond=now.microsecond // 1000 * 1000 if self.is_cloud else 0)

    def create(self, project: str = "PAY", by: str = "dev", **values: str | None) -> Issue:
        self._numbers[project] = self._numbers.get(project, 0) + 1
        issue_id, at = next(self._ids), self.moment()
        first: dict[str, str | None] = {
            "status": "Open",
            "assignee": None,
            "priority": "Medium",
            "summary": f"Ticket {issue_id}",
            "description": None,
            **values,
        }
        key = f"{project}-{self._numbers[project]}"
        issue = Issue(issue_id, key, at, at, dict(first), by, first)
        self.issues[issue_id] = issue
        self._names |= {key: issue_id, str(issue_id): issue_id}
        self._touched(issue)
        self._post("jira:issue_created", issue, by)
        return issue

    def change(
        self, issue: Issue, by: str = "dev", metadata: Json | None = None, **values: str | None
    ) -> Change | None:
        items = [
            (name, issue.values[name], value) for name, value in values.items() if issue.values[name] != value
        ]
        if not items:
            return None
        change = Change(next(self._ids), self.moment(), by, items, metadata)
        issue.values.update(values)
        issue.changes.append(change)
        self._touched(issue)
        self._post("jira:issue_updated", issue, by, change=change)
        return change

    def comment(self, issue: Issue, text: str, by: str = "lead") -> Comment:
        comment = Comment(str(next(self._ids)), by, [Version(text, self.moment(), by)])
        issue.comments.append(comment)
        self._touched(issue)
        self._post("comment_created", issue, by, comment=comment)
        return comment

    def edit(self, issue: Issue, comment: Comment, text: str, by: str = "dev") -> None:
        comment.versions.append(Version(text, self.moment(), by))
        self._touched(issue)
        self._post("comment_updated", issue, by, comment=comment)

    def delete_comment(self, issue: Issue, comment: Comment, by: str = "dev") -> None:
        self._post("comment_deleted", issue, by, comment=comment)
        comment.versions.append(Version(None, self.moment(), by))
        self._touched(issue)

    def move(self, issue: Issue, project: str, by: str = "dev") -> None:
        """Into another project, under a new key; the old key still leads there."""
        self._numbers[project] = self._numbers.get(project, 0) + 1
        before, issue.key = issue.key, f"{project}-{self._numbers[project]}"
        issue.old_keys.append(before)
        self._names[issue.key] = issue.id
        issue.changes.append(Change(next(self._ids), self.moment(), by, [("Key", before, issue.key)]))
        self._touched(issue)

    def delete(self, issue: Issue) -> None:
        self._post("jira:issue_deleted", issue, "dev")
        issue.is_deleted = True
        self.index.pop(issue.id, None)

    def named(self, name: str) -> Issue | None:
        """By id or key, also an old one."""
        issue = self.issues.get(self._names.get(name.upper(), 0))
        return None if issue is None or issue.is_deleted else issue

    def indexed(self) -> dict[int, tuple[datetime, str, str]]:
        """The search index as it is by now."""
        now = self.clock.now()
        due = [issue_id for at, issue_id in self._behind if at <= now]
        self._behind = [entry for entry in self._behind if entry[0] > now]
        for issue_id in due:
            issue = self.issues[issue_id]
            if not issue.is_deleted:
                self.index[issue_id] = (issue.updated, issue.project, issue.values["status"] or "")
        return {} if self.is_reindexing else self.index

    def _touched(self, issue: Issue) -> None:
        issue.updated = max(self.moment(), issue.updated)
        self._behind.append((self.clock.now() + timedelta(seconds=self.lag()), issue.id))

    def _post(self, event: str, issue: Issue, by: str, **about: Any) -> None:
        body: Json = {
            "timestamp": int(self.clock.now().timestamp() * 1000),
            "webhookEvent": event,
            "user": self.user(by),
            "issue": self.posted_issue(issue),
        }
        if change := about.get("change"):
            body["changelog"] = {"id": str(change.id), "items": self.items(change)}
        if comment := about.get("comment"):
            body["comment"] = self.comment_json(comment, as_text=True)
        self.posted.append(body)

    # What the site says of these things -------------------------------------------------------------

    def time(self, at: datetime) -> str:
        text = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        return f"{text}+0000"

    def user(self, name: str) -> Json:
        shown = {"displayName": name.title(), "emailAddress": f"{name}@example.com", "active": True}
        if self.is_cloud:
            return {"accountId": f"5b10-{name}", "accountType": "atlassian", **shown}
        return {"name": name, "key": f"JIRAUSER{PEOPLE.index(name)}", **shown}

    def account_of(self, name: str) -> str:
        return f"5b10-{name}" if self.is_cloud else f"JIRAUSER{PEOPLE.index(name)}"

    def text(self, text: str | None, *, as_text: bool = False) -> Any:
        if text is None or not self.is_cloud or as_text:
            return text
        lines: list[Json] = []
        for number, line in enumerate(text.split("\n")):
            lines += [{"type": "hardBreak"}] if number else []
            lines += [{"type": "text", "text": line}] if line else []
        return {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": lines}]}

    def comment_json(self, comment: Comment, *, as_text: bool = False) -> Json:
        there = [version for version in comment.versions if version.text is not None]
        return {
            "id": comment.id,
            "author": self.user(comment.author),
            "updateAuthor": self.user(there[-1].author),
            "body": self.text(there[-1].text, as_text=as_text),
            "created": self.time(there[0].at),
            "updated": self.time(there[-1].at),
        }

    def items(self, change: Change) -> list[Json]:
        return [self._item(*item) for item in change.items]

    def _item(self, name: str, before: str | None, after: str | None) -> Json:
        people = name == "assignee"
        ids = [self.account_of(value) if value and people else value for value in (before, after)]
        shown = [value.title() if value and people else value for value in (before, after)]
        item = {"field": name, "fieldtype": "jira", "from": ids[0], "to": ids[1]}
        named = {"fieldId": name} if self.is_cloud else {}
        return {**item, **named, "fromString": shown[0], "toString": shown[1]}

    def histories(self, issue: Issue, fields: list[str] | None = None) -> list[Json]:
        found = []
        for change in issue.changes:
            items = [item for item in self.items(change) if not fields or item["field"] in fields]
            kept = {"historyMetadata": change.metadata} if change.metadata else {}
            if items:
                history = {"id": str(change.id), "author": self.user(change.author), "items": items}
                found.append({**history, "created": self.time(change.at), **kept})
        return found

    def fields(self, issue: Issue, *, as_text: bool = False) -> Json:
        values: Mapping[str, Any] = issue.values
        assignee = values["assignee"]
        return {
            "summary": values["summary"],
            "description": self.text(values["description"], as_text=as_text),
            "status": {"name": values["status"]},
            "priority": {"name": values["priority"]},
            "assignee": self.user(assignee) if assignee else None,
            "creator": self.user(issue.creator),
            "reporter": self.user(issue.creator),
            "labels": list(issue.labels),
            "project": {"key": issue.project},
            "created": self.time(issue.created),
            "updated": self.time(issue.updated),
        }

    def posted_issue(self, issue: Issue) -> Json:
        version = 3 if self.is_cloud else 2
        here = f"https://jira.example/rest/api/{version}/issue/{issue.id}"
        fields = self.fields(issue, as_text=True)
        return {"id": str(issue.id), "key": issue.key, "self": here, "fields": fields}
