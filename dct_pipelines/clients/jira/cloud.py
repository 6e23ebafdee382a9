"""Reading Jira Cloud: bulk endpoints, so that the number of requests hardly depends on that of tickets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dct_pipelines.clients.api import ApiRefusal
from dct_pipelines.clients.jira.reading import FIELDS, CommonReading
from dct_pipelines.clients.jira.site import object_in
from dct_pipelines.domain.errors import ConnectionDown
from dct_pipelines.domain.tracking import tickets as understood
from dct_pipelines.domain.tracking.reader import Answered, Matched, Named

SEARCH_PAGE = 1_000
CHANGELOG_PAGE = 5_000
QUERIES_A_CALL = 50


class CloudReading(CommonReading):
    """https://developer.atlassian.com/cloud/jira/platform/rest/v3/"""

    def changed(self, minutes: int, projects: Sequence[str]) -> Iterator[Sequence[Any]]:
        """Pages of what was updated. Sorted by Jira: what is updated meanwhile comes again at the end."""
        asked: dict[str, Any] = {
            "jql": updated_jql(minutes, projects),
            "fields": ["updated"],
            "maxResults": SEARCH_PAGE,
        }
        seen: set[str] = set()
        while True:
            body = self.site.read("POST", "search/jql", json=asked)
            yield object_in(body, "issues")
            token = body.get("nextPageToken")
            if not token or body.get("isLast") is True:
                return
            if token in seen:
                raise ConnectionDown("Jira's search repeats a page; it is tried again")
            seen.add(token)
            asked["nextPageToken"] = token

    def tickets(self, wanted: Sequence[Named]) -> Answered:
        """At most a hundred tickets in full; they come from the database, not from the search index."""
        asked = {"issueIdsOrKeys": [self.name_of(one) for one in wanted], "fields": FIELDS.split(",")}
        body = self.site.read("POST", "issue/bulkfetch", json=asked)
        found = object_in(body, "issues")
        errors = {str(one.get("id")) for one in body.get("issueErrors") or () if isinstance(one, Mapping)}
        names = {
            str(issue.get(name)) for issue in found if isinstance(issue, Mapping) for name in ("id", "key")
        }
        unknown = [one for one in wanted if one.id not in names and one.key.upper() not in names]
        others = len(found) > len(wanted) - len(unknown)
        # With a ticket in the answer that answers to another key now, keys that are not in it tell nothing.
        missing = (one for one in unknown if self.name_of(one) not in errors and (one.id or not others))
        return Answered(tuple(found), frozenset(missing))

    def histories(self, tickets: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[Any]]:
        """The changelogs of these tickets, of the fields whose changes become events."""
        ids = [str(ticket.get("id")) for ticket in tickets]
        try:
            return self._histories(ids)
        except ApiRefusal as refusal:
            if len(ids) == 1:
                return {}
            if refusal.status not in (400, 404):
                raise ConnectionDown(str(refusal)) from refusal
        # One that is gone meanwhile makes Jira refuse all of them.
        half = len(tickets) // 2
        return {**self.histories(tickets[:half]), **self.histories(tickets[half:])}

    def _histories(self, ids: Sequence[str]) -> dict[str, list[Any]]:
        asked: dict[str, Any] = {
            "issueIdsOrKeys": list(ids),
            "fieldIds": list(understood.FIELDS),
            "maxResults": CHANGELOG_PAGE,
        }
        found: dict[str, list[Any]] = {ticket_id: [] for ticket_id in ids}
        seen: set[str] = set()
        while True:
            body = self.site.call("POST", "changelog/bulkfetch", json=asked).body
            for log in object_in(body, "issueChangeLogs"):
                if isinstance(log, Mapping):
                    found.setdefault(str(log.get("issueId")), []).extend(log.get("changeHistories") or ())
            token = body.get("nextPageToken")
            if not token:
                return found
            if token in seen:
                raise ConnectionDown("Jira's changelog repeats a page; it is tried again")
            seen.add(token)
            asked["nextPageToken"] = token

    def matching(self, queries: Sequence[str], tickets: Sequence[Named]) -> Sequence[Matched]:
        """One call for fifty queries."""
        ids = [int(ticket.id) for ticket in tickets if ticket.id.isdigit()]
        matched: list[Matched] = []
        for start in range(0, len(queries), QUERIES_A_CALL):
            asked = list(queries[start : start + QUERIES_A_CALL])
            body = self.site.read("POST", "jql/match", json={"issueIds": ids, "jqls": asked})
            answers = object_in(body, "matches")
            if len(answers) != len(asked):
                raise ConnectionDown("Jira matched fewer queries than it was asked; it is tried again")
            matched += [_matched(answer) for answer in answers]
        return matched


def _matched(answer: Any) -> Matched:
    said = answer if isinstance(answer, Mapping) else {"errors": ["an answer that is no object"]}
    errors = said.get("errors") or ()
    fault = "; ".join(map(str, errors)) or None
    return Matched(frozenset(map(str, said.get("matchedIssues") or ())), fault)


def updated_jql(minutes: int, projects: Sequence[str]) -> str:
    """The search for changes. Relative minutes need neither a zone nor our clock."""
    narrowed = f"project in ({', '.join(projects)}) AND " if projects else ""
    return f"{narrowed}updated >= -{minutes}m ORDER BY updated ASC"
