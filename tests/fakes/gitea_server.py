"""A Gitea of our own: tells a `HostedWorld` as the API v1 does, in the shapes of its documentation.

Source: https://docs.gitea.com/api/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from dct_pipelines.domain.words import CheckState
from tests.fakes.hosted_world import REPOSITORY, HostedWorld, WorldRequest, Written
from tests.fakes.rest_http import Answered, Asked

TOKEN = "0123456789abcdef0123456789abcdef01234567"
Json = dict[str, Any]
USERS = {"dev": 1, "lead": 2, "guest": 3, "renovate-bot": 4, "dct": 5, "gitea-actions": -2}
STATES = {"approved": "APPROVED", "changes_requested": "REQUEST_CHANGES", "commented": "COMMENT"}
RUN_STATES = {CheckState.SUCCESS: "success", CheckState.FAILURE: "failure"}
REPO = f"/repos/{REPOSITORY}"


class GiteaServer:
    """`page_size` is the most that a list gives."""

    def __init__(self, world: HostedWorld, *, root: str = "", page_size: int = 50) -> None:
        self.world = world
        self.clock = world.clock
        self.prefix = f"{root}/api/v1"
        self.page_size = page_size
        self.scopes = {"repository", "issue", "user"}
        self.has_actions = True
        self.tells_runs = True
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Answered]]] = [
            (method, re.compile(path), handler) for method, path, handler in self._table()
        ]

    def _table(self) -> list[tuple[str, str, Callable[..., Answered]]]:
        pull = rf"{REPO}/pulls/(\d+)"
        return [
            ("GET", "/user", lambda _: self._scoped("user", _user("dct"))),
            ("GET", "/version", lambda _: Answered(200, {"version": "1.25.0"})),
            ("GET", "/repos/search", lambda _: self._scoped("repository", {"ok": True, "data": []})),
            ("GET", "/repos/issues/search", lambda _: self._scoped("issue", [])),
            ("GET", REPO, self._repository),
            ("GET", f"{REPO}/issues", self._issues),
            ("GET", f"{REPO}/pulls", self._pulls),
            ("POST", f"{REPO}/pulls", self._open),
            ("GET", pull, self._single),
            ("GET", f"{pull}/reviews", self._reviews),
            ("GET", rf"{pull}/reviews/(\d+)/comments", self._lines),
            ("POST", f"{pull}/merge", self._merge),
            ("POST", f"{pull}/requested_reviewers", lambda _asked, _number: Answered(201, [])),
            ("GET", rf"{REPO}/issues/(\d+)/comments", self._comments),
            ("GET", f"{REPO}/labels", lambda _: Answered(200, [{"id": 11, "name": "Urgent"}])),
            ("GET", rf"{REPO}/commits/(\w+)/status", self._status),
            ("POST", rf"{REPO}/statuses/(\w+)", self._report),
            ("POST", rf"{REPO}/actions/workflows/([^/]+)/dispatches", self._dispatch),
            ("GET", f"{REPO}/actions/runs", self._runs),
            ("GET", rf"{REPO}/actions/runs/(\d+)", lambda _, run: Answered(200, self._run(run))),
        ]

    def answer(self, asked: Asked) -> Answered:
        """What Gitea says."""
        if asked.headers.get("authorization") != f"token {TOKEN}":
            return Answered(401, {"message": "invalid username, password or token", "url": "/api/swagger"})
        for method, pattern, handler in self._routes:
            if asked.method == method and (match := pattern.fullmatch(asked.path)):
                return handler(asked, *match.groups())
        return Answered(404, {"message": "The target couldn't be found.", "url": "/api/swagger"})

    # ---------------------------------------------------------------- pull requests

    def _issues(self, asked: Asked) -> Answered:
        found = list(self.world.requests.values())
        if after := asked.get("since"):
            since = datetime.fromisoformat(after)
            found = [one for one in found if one.updated_at.replace(microsecond=0) >= since]
        found.sort(key=lambda one: one.number, reverse=True)
        shown = [
            {
                "id": 500 + one.number,
                "number": one.number,
                "title": one.title,
                "state": "open" if self.world.is_open(one) else "closed",
                "created_at": _at(one.created_at),
                "updated_at": _at(one.updated_at),
                "pull_request": {"merged": self.world.is_merged(one), "merged_at": None},
            }
            for one in found
        ]
        return self._paged(asked, shown)

    def _pulls(self, asked: Asked) -> Answered:
        found = [one for one in self.world.requests.values() if self.world.is_open(one)]
        if asked.get("state") != "open":
            found = list(self.world.requests.values())
        found.sort(key=lambda one: one.number, reverse=asked.get("sort") != "oldest")
        return self._paged(asked, [self.shown(one) for one in found])

    def _single(self, _asked: Asked, number: str) -> Answered:
        request = self.world.requests.get(int(number))
        return Answered(200, self.shown(request)) if request else self._missing()

    def _open(self, asked: Asked) -> Answered:
        body = asked.body
        source, target = body["head"], body["base"]
        known = self.world.code.find_open_request(REPOSITORY, source, target)
        if known is not None:
            said = f"pull request already exists for these targets [id: {known.number}]"
            return Answered(409, {"message": said, "url": "/api/swagger"})
        if None in (self.world.shop.head(source), self.world.shop.head(target)):
            return self._missing()
        request = self.world.open(source, target, body["title"], body.get("body", ""), "dct")
        return Answered(201, self.shown(request))

    def _merge(self, asked: Asked, number: str) -> Answered:
        request = self.world.requests[int(number)]
        if request.is_draft:
            return Answered(405, {"message": "Work in progress PRs cannot be merged"})
        merged = self.world.code.merge_request(
            REPOSITORY,
            request.number,
            head=asked.body["head_commit_id"],
            method="merge" if asked.body["Do"] == "merge" else "squash",
            message="m",
        )
        if merged.state == "moved":
            return Answered(409, {"message": "head out of date"})
        if merged.state == "conflict":
            return Answered(405, {"message": "Please try again later"})
        if merged.state != "merged":
            return Answered(405, {"message": merged.reason})
        self.world.touch(request)
        return Answered(200)

    def _reviews(self, asked: Asked, number: str) -> Answered:
        request = self.world.requests[int(number)]
        shown = [
            {
                "id": one.id,
                "user": _user(one.user),
                "team": None,
                "state": STATES[one.state],
                "body": one.text,
                "commit_id": one.head,
                "stale": one.head != self.world.head(request),
                "official": one.is_official,
                "dismissed": one.is_dismissed,
                "comments_count": len([line for line in request.comments if line.line == one.id]),
                "submitted_at": _at(one.at),
                "updated_at": _at(one.at),
                "html_url": f"https://git.example.org/{REPOSITORY}/pulls/{number}#issuecomment-{one.id}",
            }
            for one in request.opinions
        ]
        return self._paged(asked, shown)

    def _lines(self, _asked: Asked, number: str, review: str) -> Answered:
        written = self.world.requests[int(number)].comments
        return Answered(200, [self.comment(one) for one in written if one.line == int(review)])

    def _comments(self, _asked: Asked, number: str) -> Answered:
        written = self.world.requests[int(number)].comments
        return Answered(200, [self.comment(one) for one in written if one.line is None])

    @staticmethod
    def comment(written: Written) -> Json:
        """A comment as Gitea shows it."""
        return {
            "id": written.id,
            "html_url": f"https://git.example.org/{REPOSITORY}/pulls/1#issuecomment-{written.id}",
            "user": _user(written.user),
            "body": written.text,
            "created_at": _at(written.created_at),
            "updated_at": _at(written.updated_at),
        }

    def shown(self, request: WorldRequest) -> Json:
        """A pull request as Gitea shows it."""
        merged = self.world.code.merged.get(request.number)
        source, target = self.world.shop.head(request.source), self.world.shop.head(request.target)
        clean = False
        if source and target and merged is None:
            clean = self.world.git.merge_preview(self.world.repository_ref, target, source).clean
        return {
            "id": 500 + request.number,
            "number": request.number,
            "user": _user(request.author),
            "title": f"WIP: {request.title}" if request.is_draft else request.title,
            "body": request.body,
            "labels": [],
            "state": "open" if self.world.is_open(request) else "closed",
            "draft": request.is_draft,
            "html_url": f"https://git.example.org/{REPOSITORY}/pulls/{request.number}",
            "mergeable": clean and not request.is_draft,
            "merged": merged is not None,
            "merged_at": None,
            "merge_commit_sha": merged,
            "base": {"label": request.target, "ref": request.target, "sha": str(target), "repo_id": 3},
            "head": {
                "label": request.source,
                "ref": request.source,
                "sha": self.world.head(request),
                "repo_id": 4 if request.is_from_fork else 3,
            },
            "created_at": _at(request.created_at),
            "updated_at": _at(request.updated_at),
        }

    # ---------------------------------------------------------------- workflows and what is reported

    def _status(self, asked: Asked, commit: str) -> Answered:
        latest = self.world.latest(commit)
        size, page = min(self.page_size, int(asked.get("limit", "30"))), int(asked.get("page", "1"))
        part = [
            {"id": one.id, "context": one.name, "status": one.state, "target_url": "", "description": ""}
            for one in latest[(page - 1) * size : page * size]
        ]
        combined = {"state": "", "sha": commit, "total_count": len(latest), "statuses": part or None}
        return Answered(200, combined)

    def _report(self, asked: Asked, commit: str) -> Answered:
        self.world.report(commit, asked.body["context"], asked.body["state"])
        return Answered(201, {"id": 1, "context": asked.body["context"], "status": asked.body["state"]})

    def _dispatch(self, asked: Asked, workflow: str) -> Answered:
        if not self.has_actions:
            return self._missing()
        ref, inputs = asked.body["ref"], asked.body["inputs"]
        key = inputs["dct_key"]
        run = self.world.code.dispatch(REPOSITORY, workflow=workflow, ref=ref, inputs=inputs, key=key)
        assert run is not None
        if not self.tells_runs:
            return Answered(204)
        return Answered(200, {"workflow_run_id": int(run.id), "run_url": run.url, "html_url": run.url})

    def _runs(self, asked: Asked) -> Answered:
        runs = [run for run in self.world.code.runs.values() if asked.get("branch", run.ref) == run.ref]
        shown = [self._run(one.run.id) for one in reversed(runs)]
        return Answered(200, {"total_count": len(shown), "workflow_runs": shown})

    def _run(self, run_id: str) -> Json:
        run = self.world.code.runs[run_id]
        ended = RUN_STATES.get(run.run.state)
        return {
            "id": int(run_id),
            "status": "completed" if ended else "in_progress",
            "conclusion": ended,
            "display_title": f"Deploy {run.key}",
            "path": f"{run.workflow}@refs/heads/{run.ref}",
            "event": "workflow_dispatch",
            "head_branch": run.ref,
            "html_url": run.run.url,
        }

    # ---------------------------------------------------------------- the rest

    def _repository(self, _asked: Asked) -> Answered:
        rights = {"admin": False, "push": True, "pull": True}
        return Answered(200, {"full_name": REPOSITORY, "default_branch": "main", "permissions": rights})

    def _scoped(self, scope: str, content: Any) -> Answered:
        if scope in self.scopes:
            return Answered(200, content)
        said = f"token does not have at least one of required scope(s): [read:{scope}]"
        return Answered(403, {"message": said})

    @staticmethod
    def _missing() -> Answered:
        return Answered(404, {"message": "The target couldn't be found.", "url": "/api/swagger"})

    def _paged(self, asked: Asked, elements: list[Any]) -> Answered:
        size = min(self.page_size, int(asked.get("limit", "30")))
        page = int(asked.get("page", "1"))
        headers = {"x-total-count": str(len(elements))}
        if len(elements) > size:
            more = page * size < len(elements)
            headers["link"] = '<https://git.example.org/next>; rel="next"' if more else '<x>; rel="first"'
        return Answered(200, elements[(page - 1) * size : page * size], headers)


def _user(name: str) -> Json:
    return {
        "id": USERS.get(name, 99),
        "login": name,
        "full_name": name.title(),
        "email": f"{name}@noreply.org",
    }


def _at(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
