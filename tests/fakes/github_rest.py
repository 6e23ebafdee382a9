"""The part of GitHub's REST that we use, answered from a `GitHubWorld` in the documented shape."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.git_refs import HEADS, Oid
from tests.fakes.github_world import Account, GitHubWorld, Pull

Json = Any
Reply = tuple[int, Json]
Handler = Callable[[GitHubWorld, "Call"], Reply]
ROUTES: list[tuple[str, re.Pattern[str], Handler]] = []


class Call:
    """One request: its path's variable parts, its query and body."""

    def __init__(self, parts: tuple[str, ...], query: Mapping[str, str], body: Json) -> None:
        self.parts = parts
        self.query = query
        self.body = body


def answer(world: GitHubWorld, method: str, path: str, query: Mapping[str, str], body: Json) -> Reply:
    """Status and body; the path is what it was before it was quoted, part by part."""
    for wanted, pattern, handler in ROUTES:
        if wanted == method and (found := pattern.fullmatch(path)):
            return handler(world, Call(found.groups(), query, body))
    return 404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}


def route(method: str, path: str) -> Callable[[Handler], Handler]:
    """A handler for a path in which `{}` is any part; below `/repos/acme/shop` when it begins with `.`."""
    full = path.replace(".", "/repos/acme/shop", 1) if path.startswith(".") else path
    pattern = re.compile(re.escape(full).replace(r"\{\}", "([^/]+)"))

    def register(handler: Handler) -> Handler:
        ROUTES.append((method, pattern, handler))
        return handler

    return register


def invalid(message: str, *errors: str) -> Reply:
    return 422, {"message": message, "errors": [{"resource": "X", "message": error} for error in errors]}


@route("GET", "/user")
def _user(world: GitHubWorld, call: Call) -> Reply:
    return 200, _account(world.person("dct-bot"))


@route("GET", "/rate_limit")
def _limits(world: GitHubWorld, call: Call) -> Reply:
    limit = {"limit": 5000, "used": 1, "remaining": 4999, "reset": 1_900_000_000}
    return 200, {"resources": {"core": limit, "graphql": limit}, "rate": limit}


@route("GET", ".")
def _repository(world: GitHubWorld, call: Call) -> Reply:
    return 200, {"full_name": world.name, "private": True, "default_branch": "main"}


@route("GET", "./pulls")
def _pulls(world: GitHubWorld, call: Call) -> Reply:
    owner, _, branch = call.query.get("head", ":").partition(":")
    found = [
        _pull(world, pull)
        for pull in world.pulls.values()
        if pull.state == "OPEN" and owner == "acme" and pull.source == branch
        if call.query.get("base") in (None, pull.target)
    ]
    return 200, found


@route("POST", "./pulls")
def _open(world: GitHubWorld, call: Call) -> Reply:
    body = call.body
    for pull in world.pulls.values():
        if pull.state == "OPEN" and (pull.source, pull.target) == (body["head"], body["base"]):
            known = f"A pull request already exists for acme:{pull.source}."
            return invalid("Validation Failed", known)
    if world.shop.head(body["head"]) is None or world.shop.head(body["base"]) is None:
        return invalid("Validation Failed", "Head sha can't be blank")
    pull = world.open(body["head"], body["base"], body["title"], body["body"], "dct-bot")
    pull.is_draft = body.get("draft", False)
    return 201, _pull(world, pull)


@route("GET", "./pulls/{}")
def _one(world: GitHubWorld, call: Call) -> Reply:
    pull = world.pulls.get(int(call.parts[0]))
    return (200, _pull(world, pull)) if pull else (404, {"message": "Not Found"})


@route("PUT", "./pulls/{}/merge")
def _merge(world: GitHubWorld, call: Call) -> Reply:
    pull = world.pulls[int(call.parts[0])]
    if call.body["sha"] != world.head(pull):
        return 409, {"message": "Head branch was modified. Review and try the merge again."}
    message = "\n\n".join(filter(None, (call.body.get("commit_title"), call.body.get("commit_message"))))
    commit = None
    if pull.state == "OPEN" and not pull.is_draft:
        commit = world.merge(pull, message, call.body["merge_method"])
    if commit is None:
        return 405, {"message": "Pull Request is not mergeable"}
    return 200, {"sha": commit, "merged": True, "message": "Pull Request successfully merged"}


@route("POST", "./issues/{}/labels")
def _label(world: GitHubWorld, call: Call) -> Reply:
    world.pulls[int(call.parts[0])].labels += call.body["labels"]
    return 200, []


@route("POST", "./pulls/{}/requested_reviewers")
def _ask(world: GitHubWorld, call: Call) -> Reply:
    pull = world.pulls[int(call.parts[0])]
    pull.reviewers += [*call.body["reviewers"], *(f"team:{team}" for team in call.body["team_reviewers"])]
    return 201, _pull(world, pull)


@route("POST", "./merges")
def _merge_branches(world: GitHubWorld, call: Call) -> Reply:
    head, base = call.body["head"], call.body["base"]
    source = world.shop.head(head) or (Oid(head) if head in world.git.objects.commits else None)
    target = world.shop.head(base)
    if source is None or target is None:
        return 404, {"message": f"{'Head' if source is None else 'Base'} does not exist"}
    if source in world.git.objects.history(target):
        return 204, None
    commit = world.merge_commits(source, base, call.body["commit_message"])
    return (409, {"message": "Merge conflict"}) if commit is None else (201, {"sha": commit})


@route("POST", "./actions/workflows/{}/dispatches")
def _dispatch(world: GitHubWorld, call: Call) -> Reply:
    if HEADS + call.body["ref"] not in world.shop.refs:
        return invalid(f"No ref found for: {call.body['ref']}")
    run = {
        "id": world.new_id(),
        "workflow": call.parts[0],
        "head_branch": call.body["ref"],
        "status": "queued",
        "conclusion": None,
        "html_url": f"https://github.example.org/acme/shop/actions/runs/{world.ids}",
        "name": "deploy",
        "display_title": f"deploy {call.body['inputs'].get('dct_key', '')}",
    }
    world.runs.append(run)
    if not call.body.get("return_run_details"):
        return 204, None
    return 200, {"workflow_run_id": run["id"], "run_url": "", "html_url": run["html_url"]}


@route("GET", "./actions/workflows/{}/runs")
def _runs(world: GitHubWorld, call: Call) -> Reply:
    found = [
        run
        for run in reversed(world.runs)
        if run["workflow"] == call.parts[0] and run["head_branch"] == call.query["branch"]
    ]
    return 200, {"total_count": len(found), "workflow_runs": found}


@route("GET", "./actions/runs/{}")
def _run(world: GitHubWorld, call: Call) -> Reply:
    found = [run for run in world.runs if str(run["id"]) == call.parts[0]]
    return (200, found[0]) if found else (404, {"message": "Not Found"})


@route("GET", "./deployments")
def _deployments(world: GitHubWorld, call: Call) -> Reply:
    wanted = (call.query["sha"], call.query["environment"])
    return 200, [one for one in world.deployments if (one["sha"], one["environment"]) == wanted]


@route("POST", "./deployments")
def _deploy(world: GitHubWorld, call: Call) -> Reply:
    made = {"id": world.new_id(), "sha": call.body["ref"], "states": [], **call.body}
    world.deployments.append(made)
    return 201, made


@route("POST", "./deployments/{}/statuses")
def _deployed(world: GitHubWorld, call: Call) -> Reply:
    [found] = [one for one in world.deployments if str(one["id"]) == call.parts[0]]
    found["states"].append(call.body["state"])
    return 201, {"state": call.body["state"]}


@route("POST", "./statuses/{}")
def _status(world: GitHubWorld, call: Call) -> Reply:
    world.status(call.parts[0], call.body["context"], call.body["state"])
    return 201, {"state": call.body["state"]}


def _pull(world: GitHubWorld, pull: Pull) -> Json:
    repo = {"full_name": world.name, "private": True, "default_branch": "main"}
    base = str(world.shop.head(pull.target) or "0" * 40)
    return {
        "number": pull.number,
        "title": pull.title,
        "state": "open" if pull.state == "OPEN" else "closed",
        "draft": pull.is_draft,
        "html_url": f"https://github.example.org/{world.name}/pull/{pull.number}",
        "body": pull.body or None,
        "head": {"ref": pull.source, "sha": world.head(pull), "repo": repo},
        "base": {"ref": pull.target, "sha": base, "repo": repo},
        "merged_at": _at(pull.merged_at),
        "mergeable": None if pull.state != "OPEN" else _is_clean(world, pull),
        "merge_commit_sha": pull.merge_commit,
    }


def _is_clean(world: GitHubWorld, pull: Pull) -> bool | None:
    target, head = world.shop.head(pull.target), Oid(world.head(pull))
    if target is None or head not in world.git.objects.commits:
        return None
    return world.git.merge_preview(RepositoryRef(world.url), target, head).clean


def _account(account: Account) -> Json:
    return {"login": account.login, "id": account.id, "type": account.type}


def _at(moment: datetime | None) -> str | None:
    return moment.isoformat().replace("+00:00", "Z") if moment else None
