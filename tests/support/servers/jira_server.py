"""A Jira Data Center: jira820, which keeps tickets, transitions, comments and their history in memory.

Where it is unlike a real one (no authentication, whole days instead of times, a history of status changes
only, unknown clauses of JQL match everything) is told by `tests/integration/test_servers_jira.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.servers.process import ServerFailed, free_port, running

PROJECT = "SHOP"
USER = "admin"
PASSWORD = "admin"
STATUSES = {
    "Open": "todo",
    "In Progress": "inprogress",
    "In Review": "inprogress",
    "Ready for QA": "inprogress",
    "Done": "done",
    "Reopened": "todo",
}
CONFIGURATION = f"""\
project_key: {PROJECT}
project_name: Shop
modules: [Web]
epics_per_module: 1
children_per_epic: [2, 3]
standalone_per_module: 2
history_per_module: 2
statuses:
"""


@dataclass(frozen=True)
class JiraServer:
    """A running jira820, and what a person does in it. Tickets are named by their keys."""

    base_url: str
    http: httpx.Client

    def create(self, summary: str = "Something to do", **fields: Any) -> str:
        """A new ticket in the first status; `fields` as Jira's REST API names them. Gives its key."""
        wanted = {"project": {"key": PROJECT}, "issuetype": {"name": "Task"}, "summary": summary, **fields}
        key: str = self.call("POST", "issue", json={"fields": wanted})["key"]
        return key

    def read(self, key: str) -> dict[str, Any]:
        """The ticket with its fields and its changelog."""
        found: dict[str, Any] = self.call("GET", f"issue/{key}", params={"expand": "changelog"})
        return found

    def search(self, jql: str, **params: Any) -> dict[str, Any]:
        """One page of a search."""
        page: dict[str, Any] = self.call("GET", "search", params={"jql": jql, **params})
        return page

    def transitions(self, key: str) -> dict[str, str]:
        """The id of each transition by the status that it leads to."""
        offered = self.call("GET", f"issue/{key}/transitions")["transitions"]
        return {each["to"]["name"]: each["id"] for each in offered}

    def move(self, key: str, status: str) -> None:
        """Take the transition that leads to the status."""
        chosen = {"transition": {"id": self.transitions(key)[status]}}
        self.call("POST", f"issue/{key}/transitions", json=chosen)

    def edit(self, key: str, **fields: Any) -> None:
        """Set fields, e.g. `labels=["urgent"]`. Leaves no history here."""
        self.call("PUT", f"issue/{key}", json={"fields": fields})

    def assign(self, key: str, name: str | None) -> None:
        """Hand the ticket to somebody, or to nobody. Leaves no history here."""
        self.call("PUT", f"issue/{key}/assignee", json={"name": name})

    def prioritise(self, key: str, priority: str) -> None:
        """Highest, High, Medium, Low or Lowest. Leaves no history here."""
        self.edit(key, priority={"name": priority})

    def comment(self, key: str, body: str) -> str:
        """Comment as admin. Gives the comment's id."""
        made: str = self.call("POST", f"issue/{key}/comment", json={"body": body})["id"]
        return made

    def edit_comment(self, key: str, comment: str, body: str) -> None:
        """Say it otherwise."""
        self.call("PUT", f"issue/{key}/comment/{comment}", json={"body": body})

    def delete_comment(self, key: str, comment: str) -> None:
        """Take it back."""
        self.call("DELETE", f"issue/{key}/comment/{comment}")

    def comments(self, key: str) -> list[dict[str, Any]]:
        """The first 1,000 comments, oldest first."""
        found: list[dict[str, Any]] = self.call("GET", f"issue/{key}/comment", params={"maxResults": 1000})[
            "comments"
        ]
        return found

    def delete(self, key: str) -> None:
        """Delete the ticket."""
        self.call("DELETE", f"issue/{key}")

    def call(self, method: str, path: str, **request: Any) -> Any:
        """One request below /rest/api/2/; its body, or None. An answer that is not 2xx raises."""
        answer = self.http.request(method, f"/rest/api/2/{path}", **request)
        answer.raise_for_status()
        return answer.json() if answer.content else None


@contextmanager
def running_jira(directory: Path, day: date | None = None) -> Iterator[JiraServer]:
    """A jira820 with a state of its own; its log stays in the directory.

    Whatever happens in it happens at nine o'clock of `day`, by default today.
    """
    program = Path(sys.executable).parent / "jira820"
    if not program.exists():
        raise ServerFailed("jira820 is missing; install it: make setup")
    configuration = directory / "jira.yaml"
    statuses = "".join(
        f"  - [{name}, {kind}, '{10_000 + i}']\n" for i, (name, kind) in enumerate(STATUSES.items())
    )
    configuration.write_text(CONFIGURATION + statuses)
    port = free_port()
    environment = {"JIRA820_PORT": str(port), "JIRA820_CONFIG": str(configuration)}
    if day is not None:
        environment["JIRA820_DATE"] = day.isoformat()
    with running("jira820", [program], port, directory / "jira.log", environment):
        base_url = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=base_url, trust_env=False, timeout=30) as http:
            yield JiraServer(base_url, http)


@pytest.fixture(scope="session")
def jira_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JiraServer]:
    """The worker's server: other tests have tickets in it. For an own one: `running_jira(tmp_path)`."""
    with running_jira(tmp_path_factory.mktemp("jira")) as server:
        yield server


@pytest.fixture
def jira(jira_server: JiraServer) -> JiraServer:
    """The same by its short name; make tickets of your own with `jira.create()`."""
    return jira_server
