"""Pipelines and deployments of a simulated GitLab, and how it writes lists, people and moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dct_pipelines.domain.words import CheckState
from tests.fakes.hosted_world import REPOSITORY, HostedWorld
from tests.fakes.rest_http import Answered, Asked

Json = dict[str, Any]
USERS = {"dev": 1, "lead": 2, "guest": 3, "project_7_bot_1a2b": 4, "dct": 5}
RUN_STATES = {CheckState.PENDING: "running", CheckState.SUCCESS: "success", CheckState.FAILURE: "failed"}


class GitLabRunsServer:
    """Pipelines are runs of the world; deployments are kept as they are shown."""

    def __init__(self, world: HostedWorld, page_size: int) -> None:
        self.world = world
        self.page_size = page_size
        self.deployments: list[Json] = []

    def _start(self, asked: Asked) -> Answered:
        if self.world.shop.head(asked.body["ref"]) is None:
            return Answered(400, {"message": {"base": ["Reference not found"]}})
        given = {one["key"]: one["value"] for one in asked.body["variables"]}
        of = {"workflow": given.get("DCT_WORKFLOW", ""), "ref": asked.body["ref"], "key": given["DCT_KEY"]}
        run = self.world.code.dispatch(REPOSITORY, inputs=given, **of)
        assert run is not None
        return Answered(201, self._pipeline(run.id))

    def _pipelines(self, asked: Asked) -> Answered:
        runs = [run for run in self.world.code.runs.values() if asked.get("ref", run.ref) == run.ref]
        return self.paged(asked, [self._pipeline(one.run.id) for one in reversed(runs)])

    def _pipeline(self, run_id: str) -> Json:
        run = self.world.code.runs[run_id]
        return {
            "id": int(run_id),
            "project_id": 7,
            "sha": self.world.shop.head(run.ref),
            "ref": run.ref,
            "status": RUN_STATES[run.run.state],
            "source": "api",
            "web_url": run.run.url,
        }

    def _variables(self, asked: Asked, run_id: str) -> Answered:
        given = self.world.code.runs[run_id].inputs
        return self.paged(
            asked, [{"variable_type": "env_var", "key": name, "value": given[name]} for name in given]
        )

    def _listed_deployments(self, asked: Asked) -> Answered:
        found = [one for one in self.deployments if asked.get("status", one["status"]) == one["status"]]
        name = asked.get("environment")
        return self.paged(asked, [one for one in found if one["environment"]["name"] == name])

    def _deploy(self, asked: Asked) -> Answered:
        body = asked.body
        deployment = {
            "id": len(self.deployments) + 1,
            "ref": body["ref"],
            "sha": body["sha"],
            "status": body["status"],
            "environment": {"id": 1, "name": body["environment"]},
        }
        self.deployments.append(deployment)
        return Answered(201, deployment)

    def _deployed(self, asked: Asked, number: str) -> Answered:
        deployment = self.deployments[int(number) - 1]
        if deployment["status"] == asked.body["status"]:
            return Answered(400, {"message": "Cannot transition status"})
        deployment["status"] = asked.body["status"]
        return Answered(200, deployment)

    def _refs(self, asked: Asked, commit: str) -> Answered:
        names = [name for name in ("main", "qa") if self.world.shop.head(name) == commit]
        return self.paged(asked, [{"type": "branch", "name": name} for name in names])

    def paged(self, asked: Asked, elements: list[Any]) -> Answered:
        """A page of a list."""
        size = min(self.page_size, int(asked.get("per_page", "20")))
        page = int(asked.get("page", "1"))
        part = elements[(page - 1) * size : page * size]
        more = str(page + 1) if page * size < len(elements) else ""
        headers = {"x-page": str(page), "x-next-page": more, "x-total": str(len(elements))}
        return Answered(200, part, headers)


def user_of(name: str) -> Json:
    """Somebody, as GitLab shows them."""
    return {"id": USERS.get(name, 99), "username": name, "name": name.title(), "state": "active"}


def moment_of(moment: datetime) -> str:
    """A moment, as GitLab writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
