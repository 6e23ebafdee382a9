"""The REST interface of a `JiraSite`, Cloud v3 or Data Center v2, with small pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tests.fakes.jira_site import PEOPLE, PRIORITIES, STATUSES, Issue, JiraSite, Json
from tests.fakes.rest_http import Answered, Asked

NOT_FOUND = {"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}}
ME = "dct"


class JiraServer:
    """Answers requests. `page` bounds every listing."""

    def __init__(self, site: JiraSite, *, page: int = 7, keeps_metadata: bool = True) -> None:
        self.site = site
        self.clock = site.clock
        self.prefix = f"/rest/api/{3 if site.is_cloud else 2}"
        self.page = page
        self.keeps_metadata = keeps_metadata

    def answer(self, asked: Asked) -> Answered:
        parts = asked.path.strip("/").split("/")
        if parts[0] == "issue" and len(parts) > 1 and parts[1] != "bulkfetch":
            issue = self.site.named(parts[1])
            if issue is None:
                return Answered(404, NOT_FOUND)
            return self._of_issue(asked, issue, "/".join(parts[2:]))
        whole: dict[tuple[str, str], Callable[[Asked], Answered]] = {
            ("GET", "serverInfo"): lambda _: Answered(200, self._info()),
            ("GET", "myself"): lambda _: Answered(200, self.site.user(ME) | {"timeZone": "Europe/Berlin"}),
            ("GET", "mypermissions"): self._permissions,
            ("GET", "priority"): lambda _: Answered(200, [{"name": name} for name in PRIORITIES]),
            ("GET", "user/search"): self._users,
            ("POST", "search/jql"): self._search_jql,
            ("POST", "search/approximate-count"): self._count,
            ("POST", "issue/bulkfetch"): self._bulk,
            ("POST", "changelog/bulkfetch"): self._changelogs,
            ("POST", "jql/match"): self._match,
            ("GET", "search"): self._search,
        }
        found = whole.get((asked.method, "/".join(parts)))
        return found(asked) if found else Answered(404, {"errorMessages": [], "errors": {}})

    def _info(self) -> Json:
        return {"deploymentType": "Cloud" if self.site.is_cloud else "Server", "version": "1000.0.0"}

    def _permissions(self, asked: Asked) -> Answered:
        names = asked.get("permissions").split(",")
        return Answered(200, {"permissions": {name: {"havePermission": True} for name in names}})

    def _users(self, asked: Asked) -> Answered:
        wanted = (asked.get("query") or asked.get("username") or asked.get("accountId")).casefold()
        people = [self.site.user(name) for name in PEOPLE]
        return Answered(200, [one for one in people if wanted in str(one).casefold()] if wanted else [])

    def _count(self, asked: Asked) -> Answered:
        ids = self._ids(asked.body["jql"])
        return (
            Answered(400, {"errorMessages": ["broken"]})
            if ids is None
            else Answered(200, {"count": len(ids)})
        )

    # Searching -----------------------------------------------------------------------------------------

    def _ids(self, jql: str) -> list[int] | None:
        """The ids that match, by what the index knows; the longest unchanged first. None: not understood."""
        rest = re.sub(r"ORDER BY updated ASC$", "", jql).strip()
        index = self.site.indexed()
        rows = sorted((updated, issue_id) for issue_id, (updated, _, _) in index.items())
        ids = [issue_id for _, issue_id in rows]
        for clause in re.split(r"\s+AND\s+", rest) if rest else []:
            kept = self._matching(clause.strip("()") if clause.startswith("(") else clause, ids)
            if kept is None:
                return None
            ids = kept
        return ids

    def _matching(self, clause: str, ids: list[int]) -> list[int] | None:
        index = self.site.index
        if found := re.fullmatch(r"updated >= -(\d+)m", clause):
            since = self.clock.now() - timedelta(minutes=int(found[1]))
            return [one for one in ids if index[one][0] >= since]
        if found := re.fullmatch(r"project (?:= (\w+)|in \(([\w, ]+)\)?)", clause):
            projects = (found[1] or found[2]).split(", ")
            return [one for one in ids if index[one][1] in projects]
        if found := re.fullmatch(r"status = \"([^\"]+)\"", clause):
            return [one for one in ids if index[one][2] == found[1]]
        if found := re.fullmatch(r"key in \(([^)]*)\)?", clause):
            named = (self.site.named(key.strip()) for key in found[1].split(","))
            wanted = {issue.id for issue in named if issue is not None}
            return [one for one in ids if one in wanted]
        return None

    def _search_jql(self, asked: Asked) -> Answered:
        ids = self._ids(asked.body["jql"])
        if ids is None:
            return Answered(400, {"errorMessages": ["The query is broken."]})
        index = self.site.index
        rows = sorted((index[one][0], one) for one in ids)
        if token := asked.body.get("nextPageToken"):
            seconds, _, issue_id = token.partition("/")
            rows = [row for row in rows if (row[0].timestamp(), row[1]) > (float(seconds), int(issue_id))]
        page = rows[: self.page]
        issues = [self._found(issue_id) for _, issue_id in page]
        if len(page) == len(rows):
            return Answered(200, {"issues": issues, "isLast": True})
        token = f"{page[-1][0].timestamp()!r}/{page[-1][1]}"
        return Answered(200, {"issues": issues, "nextPageToken": token, "isLast": False})

    def _found(self, issue_id: int) -> Json:
        updated = self.site.time(self.site.index[issue_id][0])
        return {"id": str(issue_id), "key": self.site.issues[issue_id].key, "fields": {"updated": updated}}

    def _search(self, asked: Asked) -> Answered:
        ids = self._ids(asked.get("jql"))
        if ids is None:
            return Answered(400, {"errorMessages": ["The query is broken."]})
        start = int(asked.get("startAt", "0"))
        size = min(
            int(asked.get("maxResults", "50")), 100 if "changelog" in asked.get("expand") else self.page
        )
        page = ids[start : start + size]
        full = "changelog" in asked.get("expand")
        issues = [self._issue(self.site.issues[one]) if full else self._found(one) for one in page]
        return Answered(200, {"startAt": start, "maxResults": size, "total": len(ids), "issues": issues})

    def _match(self, asked: Asked) -> Answered:
        wanted = set(asked.body["issueIds"])
        answers = []
        for jql in asked.body["jqls"]:
            ids = self._ids(jql)
            errors = [f"Invalid JQL: {jql}"] if ids is None else []
            answers.append({"matchedIssues": sorted(wanted & set(ids or ())), "errors": errors})
        return Answered(200, {"matches": answers})

    # Tickets -------------------------------------------------------------------------------------------

    def _issue(self, issue: Issue) -> Json:
        comments = [self.site.comment_json(one) for one in issue.comments if one.is_there]
        inline = comments[: self.page]
        listed = {"comments": inline, "total": len(comments), "startAt": 0, "maxResults": len(inline)}
        whole = self.site.posted_issue(issue)
        whole["fields"] = self.site.fields(issue) | {"comment": listed}
        if not self.site.is_cloud:
            histories = self.site.histories(issue)
            whole["changelog"] = {"histories": histories, "total": len(histories)}
        return whole

    def _bulk(self, asked: Asked) -> Answered:
        wanted = [self.site.named(name) for name in asked.body["issueIdsOrKeys"]]
        found = {issue.id: issue for issue in wanted if issue is not None}
        issues = [self._issue(found[one]) for one in sorted(found)]
        return Answered(200, {"issues": issues, "issueErrors": []})

    def _changelogs(self, asked: Asked) -> Answered:
        fields = asked.body.get("fieldIds")
        issues = [self.site.named(name) for name in asked.body["issueIdsOrKeys"]]
        rows = sorted(
            (
                (history["created"], issue.id, history)
                for issue in issues
                if issue is not None
                for history in self.site.histories(issue, fields)
            ),
            key=lambda row: row[:2],
        )
        start = int(asked.body.get("nextPageToken") or 0)
        page = rows[start : start + self.page]
        logs: dict[int, list[Json]] = {}
        for _, issue_id, history in page:
            logs.setdefault(issue_id, []).append(history)
        answer: Json = {
            "issueChangeLogs": [
                {"issueId": str(issue_id), "changeHistories": log} for issue_id, log in logs.items()
            ]
        }
        if start + self.page < len(rows):
            answer["nextPageToken"] = str(start + self.page)
        return Answered(200, answer)

    def _of_issue(self, asked: Asked, issue: Issue, what: str) -> Answered:
        match asked.method, what:
            case "GET", "":
                return Answered(200, self._issue(issue))
            case "PUT", "":
                return self._edit(asked.body, issue)
            case "GET", "comment":
                return self._comments(asked, issue)
            case "POST", "comment":
                return self._comment(asked.body, issue)
            case "GET", "transitions":
                return Answered(200, {"transitions": self._transitions(issue)})
            case "POST", "transitions":
                return self._transition(asked.body, issue)
            case "GET", "remotelink":
                link = issue.links.get(asked.get("globalId"))
                return Answered(404, NOT_FOUND) if link is None else Answered(200, link)
            case "POST", "remotelink":
                issue.links[asked.body["globalId"]] = asked.body
                return Answered(201, {"id": len(issue.links), "self": "https://jira.example"})
        return Answered(405, {"errorMessages": [], "errors": {}})

    def _comments(self, asked: Asked, issue: Issue) -> Answered:
        comments = [self.site.comment_json(one) for one in issue.comments if one.is_there]
        start = int(asked.get("startAt", "0"))
        size = min(int(asked.get("maxResults", "50")), self.page)
        page = comments[start : start + size]
        return Answered(200, {"startAt": start, "maxResults": size, "total": len(comments), "comments": page})

    def _comment(self, body: Json, issue: Issue) -> Answered:
        comment = self.site.comment(issue, _text(body["body"]), ME)
        comment.properties = body.get("properties") or []
        return Answered(201, self.site.comment_json(comment))

    def _transitions(self, issue: Issue) -> list[Json]:
        return [
            {"id": str(10 + place), "name": f"To {status}", "to": {"name": status}}
            for place, status in enumerate(STATUSES)
            if status != issue.values["status"]
        ]

    def _transition(self, body: Json, issue: Issue) -> Answered:
        offered = {one["id"]: one["to"]["name"] for one in self._transitions(issue)}
        status = offered.get(body["transition"]["id"])
        if status is None:
            return Answered(400, {"errorMessages": ["It is not on this transition's screen"], "errors": {}})
        self.site.change(issue, ME, self._metadata(body), status=status)
        return Answered(204)

    def _metadata(self, body: Json) -> Json | None:
        return body.get("historyMetadata") if self.keeps_metadata else None

    def _edit(self, body: Json, issue: Issue) -> Answered:
        fields = body.get("fields", {})
        values: dict[str, str | None] = {}
        if "assignee" in fields:
            user = fields["assignee"]
            values["assignee"] = (
                None
                if user is None
                else next(
                    name
                    for name in PEOPLE
                    if name in (user.get("name"), user.get("accountId", "").removeprefix("5b10-"))
                )
            )
        if "priority" in fields:
            values["priority"] = fields["priority"]["name"]
        for step in body.get("update", {}).get("labels", ()):
            issue.labels = [label for label in issue.labels if label not in step.values()]
            issue.labels += [step["add"]] if "add" in step else []
        self.site.change(issue, ME, self._metadata(body), **values)
        return Answered(204)


def _text(body: Any) -> str:
    if isinstance(body, str):
        return body
    paragraphs = []
    for paragraph in body["content"]:
        parts = ["\n" if one["type"] == "hardBreak" else one["text"] for one in paragraph["content"]]
        paragraphs.append("".join(parts))
    return "\n\n".join(paragraphs)
