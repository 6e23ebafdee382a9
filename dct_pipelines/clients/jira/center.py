"""Reading Jira Data Center: searches by offset, with the changelog in the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dct_pipelines.clients.api import ApiRefusal
from dct_pipelines.clients.jira.cloud import updated_jql
from dct_pipelines.clients.jira.reading import FIELDS, CommonReading
from dct_pipelines.clients.jira.site import object_in, part
from dct_pipelines.domain.errors import ConnectionDown
from dct_pipelines.domain.tracking.reader import Answered, Matched, Named

SEARCH_PAGE = 500
STEP_BACK = 20
MOST_ASKED_ALONE = 20
"""More missing tickets than this are no deletions but an index that is being rebuilt."""


class CenterReading(CommonReading):
    """https://docs.atlassian.com/software/jira/docs/api/REST/9.17.0/"""

    def name_of(self, ticket: Named) -> str:
        """Keys work everywhere; a ticket that has moved answers to its old one too."""
        return ticket.key or ticket.id

    def changed(self, minutes: int, projects: Sequence[str]) -> Iterator[Sequence[Any]]:
        """Pages of what was updated. Whatever is updated meanwhile moves to the end, and the rest up.

        A page therefore begins some rows before the end of the one before, and further before as long as its
        first row is new: no row can slip through between two pages.
        """
        jql = updated_jql(minutes, projects)
        seen: set[tuple[str, str]] = set()
        start, back = 0, STEP_BACK
        while True:
            query = {"jql": jql, "startAt": str(start), "maxResults": str(SEARCH_PAGE), "fields": "updated"}
            body = self.site.read("GET", "search", query=query)
            issues, total = object_in(body, "issues"), body.get("total")
            if start and issues and _row(issues[0]) not in seen:
                start, back = max(start - back, 0), back * 2
                continue
            yield [issue for issue in issues if _row(issue) not in seen]
            seen.update(map(_row, issues))
            end = start + len(issues)
            if not issues or not isinstance(total, int) or end >= total:
                return
            start, back = end - min(STEP_BACK, (len(issues) + 1) // 2), STEP_BACK

    def tickets(self, wanted: Sequence[Named]) -> Answered:
        """At most a hundred tickets in full, with their changelogs."""
        found = self._searched(wanted)
        names = {str(issue.get(name)) for issue in found for name in ("id", "key")}
        alone = [one for one in wanted if one.id not in names and one.key.upper() not in names]
        missing = []
        for one in alone if len(alone) <= MOST_ASKED_ALONE else ():
            issue = self._alone(self.name_of(one))
            if issue is None:
                missing.append(one)
            else:
                found.append(issue)
        return Answered(tuple(self._with_changelog(issue) for issue in found), frozenset(missing))

    def _searched(self, wanted: Sequence[Named]) -> list[Mapping[str, Any]]:
        keys = [one.key for one in wanted if one.key]
        if not keys:
            return []
        query = {
            "jql": f"key in ({', '.join(keys)})",
            "fields": FIELDS,
            "expand": "changelog",
            "maxResults": str(len(keys)),
            "validateQuery": "false",
        }
        try:
            issues = object_in(self.site.call("GET", "search", query=query).body, "issues")
        except ApiRefusal:
            # Some releases refuse the whole search for one key that is no more: each is asked alone.
            return []
        asked = {one.upper() for one in keys} | {one.id for one in wanted if one.id}
        objects = [issue for issue in issues if isinstance(issue, Mapping)]
        return [issue for issue in objects if {str(issue.get("id")), str(issue.get("key"))} & asked]

    def _alone(self, name: str) -> Mapping[str, Any] | None:
        query = {"fields": FIELDS, "expand": "changelog"}
        try:
            answer = self.site.call("GET", f"issue/{part(name)}", query=query, accept={404})
        except ApiRefusal as refusal:
            if refusal.status == 403:
                return None
            raise ConnectionDown(str(refusal)) from refusal
        return None if answer.status == 404 or not isinstance(answer.body, Mapping) else answer.body

    def _with_changelog(self, issue: Mapping[str, Any]) -> Mapping[str, Any]:
        """Not every release expands the changelog in a search."""
        if "changelog" in issue:
            return issue
        return self._alone(str(issue.get("key"))) or issue

    def histories(self, tickets: Sequence[Mapping[str, Any]]) -> Mapping[str, Sequence[Any]]:
        """They came with the tickets."""
        logs = ((str(ticket.get("id")), ticket.get("changelog")) for ticket in tickets)
        return {
            ticket_id: log["histories"]
            for ticket_id, log in logs
            if isinstance(log, Mapping) and isinstance(log.get("histories"), list)
        }

    def matching(self, queries: Sequence[str], tickets: Sequence[Named]) -> Sequence[Matched]:
        """One search a query."""
        keys = ", ".join(ticket.key for ticket in tickets)
        return [self._match(query, keys, tickets) for query in queries]

    def _match(self, query: str, keys: str, tickets: Sequence[Named]) -> Matched:
        asked = {
            "jql": f"({query}) AND key in ({keys})",
            "fields": "updated",
            "maxResults": str(len(tickets)),
        }
        try:
            issues = object_in(self.site.call("GET", "search", query=asked).body, "issues")
        except ApiRefusal as refusal:
            if refusal.status not in (400, 403, 404):
                raise ConnectionDown(str(refusal)) from refusal
            return Matched(frozenset(), str(refusal))
        return Matched(frozenset(_id(issue) for issue in issues) & {ticket.id for ticket in tickets})


def _id(issue: Any) -> str:
    return str(issue.get("id")) if isinstance(issue, Mapping) else ""


def _row(issue: Any) -> tuple[str, str]:
    fields = issue.get("fields") if isinstance(issue, Mapping) else None
    return _id(issue), str(fields.get("updated")) if isinstance(fields, Mapping) else ""
