"""A GitLab of our own: tells a `HostedWorld` as the REST API v4 does, in the shapes of its documentation.

Source: https://docs.gitlab.com/api/
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote

from tests.fakes.gitlab_runs_server import USERS, GitLabRunsServer, Json, moment_of, user_of
from tests.fakes.hosted_world import REPOSITORY, HostedWorld, Opinion, WorldRequest, Written
from tests.fakes.rest_http import Answered, Asked

TOKEN = "glpat-of-a-simulated-server"
PROJECT = f"/projects/{quote(REPOSITORY, safe='')}"


class GitLabServer(GitLabRunsServer):
    """`page_size` is the most that a list gives. `approved_at` older releases do not tell."""

    def __init__(self, world: HostedWorld, *, root: str = "", page_size: int = 100) -> None:
        super().__init__(world, page_size)
        self.clock = world.clock
        self.prefix = f"{root}/api/v4"
        self.tells_approval_time = True
        self.scopes = ["api"]
        self.mergeability = "mergeable"
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Answered]]] = [
            (method, re.compile(path[2:] if path.startswith("/:") else PROJECT + path), handler)
            for method, path, handler in self._table()
        ]

    def _table(self) -> list[tuple[str, str, Callable[..., Answered]]]:
        one = r"/merge_requests/(\d+)"
        return [
            ("GET", "/:/user", self._me),
            ("GET", "/:/users", self._users),
            ("GET", "/:/personal_access_tokens/self", self._token),
            ("GET", "/:/metadata", lambda _: Answered(200, {"version": "18.4.1", "revision": "abc"})),
            ("GET", "", self._project),
            ("GET", "/merge_requests", self._list),
            ("POST", "/merge_requests", self._open),
            ("GET", one, self._single),
            ("PUT", f"{one}/merge", self._merge),
            ("GET", f"{one}/notes", self._notes),
            ("GET", f"{one}/approvals", self._approvals),
            ("GET", f"{one}/reviewers", self._reviewers),
            ("GET", f"{one}/versions", self._versions),
            ("GET", r"/repository/commits/(\w+)/statuses", self._statuses),
            ("GET", r"/repository/commits/(\w+)/refs", self._refs),
            ("POST", r"/statuses/(\w+)", self._report),
            ("POST", "/pipeline", self._start),
            ("GET", "/pipelines", self._pipelines),
            ("GET", r"/pipelines/(\d+)", lambda _, run: Answered(200, self._pipeline(run))),
            ("GET", r"/pipelines/(\d+)/variables", self._variables),
            ("GET", "/deployments", self._listed_deployments),
            ("POST", "/deployments", self._deploy),
            ("GET", r"/deployments/(\d+)", lambda _, one: Answered(200, self.deployments[int(one) - 1])),
            ("PUT", r"/deployments/(\d+)", self._deployed),
        ]

    def answer(self, asked: Asked) -> Answered:
        """What GitLab says."""
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return Answered(401, {"message": "401 Unauthorized"})
        for method, pattern, handler in self._routes:
            if asked.method == method and (match := pattern.fullmatch(asked.path)):
                return handler(asked, *match.groups())
        return Answered(404, {"message": "404 Not Found"})

    # ---------------------------------------------------------------- merge requests

    def _list(self, asked: Asked) -> Answered:
        wanted = asked.get("state", "all")
        found = [one for one in self.world.requests.values() if wanted in ("all", self._state(one))]
        if numbers := [int(value) for name, value in asked.query if name == "iids[]"]:
            found = [one for one in found if one.number in numbers]
        for side in ("source", "target"):
            if branch := asked.get(f"{side}_branch"):
                found = [one for one in found if getattr(one, side) == branch]
        moment = asked.get("order_by", "created_at")
        if after := asked.get(f"{moment.removesuffix('_at')}_after"):
            since = datetime.fromisoformat(after)
            found = [one for one in found if getattr(one, moment) >= since]
        if before := asked.get(f"{moment.removesuffix('_at')}_before"):
            until = datetime.fromisoformat(before)
            found = [one for one in found if getattr(one, moment) <= until]
        found.sort(key=lambda one: (getattr(one, moment), one.number), reverse=asked.get("sort") != "asc")
        return self.paged(asked, [self.shown(one) for one in found])

    def _open(self, asked: Asked) -> Answered:
        body = asked.body
        source, target = body["source_branch"], body["target_branch"]
        known = self.world.code.find_open_request(REPOSITORY, source, target)
        if known is not None:
            said = f"Another open merge request already exists for this source branch: !{known.number}"
            return Answered(409, {"message": [said]})
        if None in (self.world.shop.head(source), self.world.shop.head(target)):
            return Answered(400, {"message": {"source_branch": ["does not exist"]}})
        request = self.world.open(source, target, body["title"], body.get("description", ""), "dct")
        return Answered(201, self.shown(request))

    def _single(self, _asked: Asked, number: str) -> Answered:
        request = self.world.requests.get(int(number))
        return Answered(200, self.shown(request)) if request else Answered(404, {"message": "404 Not found"})

    def _merge(self, asked: Asked, number: str) -> Answered:
        request = self.world.requests[int(number)]
        if self.mergeability != "mergeable":
            return Answered(405, {"message": "405 Method Not Allowed"})
        asked_of = {"method": "squash" if asked.body.get("squash") else "merge", "message": "m"}
        head = asked.body["sha"]
        merged = self.world.code.merge_request(REPOSITORY, request.number, head=head, **asked_of)
        if merged.state == "moved":
            said = f"SHA does not match HEAD of source branch: {self.world.head(request)}"
            return Answered(409, {"message": said})
        if merged.state == "conflict":
            return Answered(422, {"message": "Branch cannot be merged"})
        if merged.state != "merged":
            return Answered(405, {"message": "405 Method Not Allowed"})
        self.world.touch(request)
        return Answered(200, self.shown(request))

    def _notes(self, asked: Asked, number: str) -> Answered:
        notes = sorted(self.world.requests[int(number)].comments, key=lambda one: one.id)
        return self.paged(asked, [self.note(one) for one in notes])

    def _approvals(self, _asked: Asked, number: str) -> Answered:
        given = self.approvers(self.world.requests[int(number)])
        shown = [{"user": user_of(one.user), "approved_at": moment_of(one.at)} for one in given]
        if not self.tells_approval_time:
            shown = [{"user": one["user"]} for one in shown]
        rights = {"user_has_approved": False, "user_can_approve": False}
        return Answered(200, {**rights, "approved": True, "approved_by": shown})

    @staticmethod
    def approvers(request: WorldRequest) -> list[Opinion]:
        """Whose approval stands: it is taken back by its giver only."""
        return [one for one in request.opinions if one.state == "approved" and not one.is_dismissed]

    def _reviewers(self, asked: Asked, number: str) -> Answered:
        shown = [
            {"user": user_of(one.user), "state": "requested_changes", "created_at": moment_of(one.at)}
            for one in _demanding(self.world.requests[int(number)])
        ]
        return self.paged(asked, shown)

    def _versions(self, asked: Asked, number: str) -> Answered:
        pushed = enumerate(self.world.requests[int(number)].versions)
        shown = [
            {"id": 100 + place, "head_commit_sha": sha, "created_at": moment_of(at)}
            for place, (sha, at) in pushed
        ]
        return self.paged(asked, shown[::-1])

    def _state(self, request: WorldRequest) -> str:
        if self.world.is_merged(request):
            return "merged"
        return "closed" if request.is_closed else "opened"

    def shown(self, request: WorldRequest) -> Json:
        """A merge request as GitLab shows it."""
        merged = self.world.code.merged.get(request.number)
        source, target = self.world.shop.head(request.source), self.world.shop.head(request.target)
        conflicts = False
        if source and target and merged is None:
            preview = self.world.git.merge_preview(self.world.repository_ref, target, source)
            conflicts = not preview.clean
        return {
            "id": 9000 + request.number,
            "iid": request.number,
            "project_id": 7,
            "title": f"Draft: {request.title}" if request.is_draft else request.title,
            "description": request.body or None,
            "state": self._state(request),
            "created_at": moment_of(request.created_at),
            "updated_at": moment_of(request.updated_at),
            "merged_at": None,
            "target_branch": request.target,
            "source_branch": request.source,
            "user_notes_count": len(request.comments),
            "author": user_of(request.author),
            "reviewers": [user_of(one.user) for one in _demanding(request)],
            "source_project_id": 8 if request.is_from_fork else 7,
            "target_project_id": 7,
            "labels": [],
            "draft": request.is_draft,
            "sha": self.world.head(request),
            "merge_commit_sha": merged,
            "squash_commit_sha": None,
            "detailed_merge_status": "conflict" if conflicts else self.mergeability,
            "has_conflicts": conflicts,
            "web_url": f"https://gitlab.example.org/{REPOSITORY}/-/merge_requests/{request.number}",
        }

    @staticmethod
    def note(written: Written) -> Json:
        """A note as GitLab shows it."""
        return {
            "id": written.id,
            "type": None,
            "body": written.text,
            "author": user_of(written.user),
            "created_at": moment_of(written.created_at),
            "updated_at": moment_of(written.updated_at),
            "system": written.system,
            "noteable_type": "MergeRequest",
            "resolvable": False,
            "confidential": False,
        }

    # ---------------------------------------------------------------- pipelines and what is reported

    def _statuses(self, asked: Asked, commit: str) -> Answered:
        shown = [
            {
                "id": one.id,
                "sha": commit,
                "ref": "main",
                "status": one.state,
                "name": one.name,
                "target_url": None,
                "allow_failure": one.allow_failure,
                "author": user_of("dev"),
                "pipeline_id": 1,
            }
            for one in self.world.latest(commit)
        ]
        return self.paged(asked, shown)

    def _report(self, asked: Asked, commit: str) -> Answered:
        body = asked.body
        known = {one.name: one.state for one in self.world.latest(commit)}
        if known.get(body["name"]) == body["state"]:
            said = f"Cannot transition status via :enqueue from :{body['state']}"
            return Answered(400, {"message": said})
        self.world.report(commit, body["name"], body["state"])
        return Answered(201, {"id": 1, "name": body["name"], "status": body["state"]})

    # ---------------------------------------------------------------- the rest

    def _me(self, _asked: Asked) -> Answered:
        limits = {"ratelimit-limit": "2000", "ratelimit-remaining": "1999", "ratelimit-reset": "1893456000"}
        return Answered(200, user_of("dct"), limits)

    def _users(self, asked: Asked) -> Answered:
        name = asked.get("username")
        return Answered(200, [user_of(name)] if name in USERS else [])

    def _token(self, _asked: Asked) -> Answered:
        return Answered(200, {"id": 3, "name": "dct", "scopes": self.scopes, "expires_at": "2027-01-31"})

    def _project(self, _asked: Asked) -> Answered:
        return Answered(200, {"id": 7, "path_with_namespace": REPOSITORY, "default_branch": "main"})


def _demanding(request: WorldRequest) -> list[Opinion]:
    """Who asks for changes: their last opinion says so."""
    last = {one.user: one for one in request.opinions if one.state != "commented" and not one.is_dismissed}
    return [one for one in last.values() if one.state == "changes_requested"]
