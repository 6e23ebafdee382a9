"""Asks another system to deploy: one signed POST, then the environment's health check.

The answer may be JSON with `url` (where to look) and `summary` (one line for people).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dct_pipelines.clients.deployers.health import Health
from dct_pipelines.clients.http import Answer
from dct_pipelines.clients.webhook import SignedPost
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted
from dct_pipelines.domain.operations import WebhookDeployer
from dct_pipelines.domain.ports import DeployRequest, DeployResult

_LONGEST_WAIT_SECONDS = 120.0
_LONGEST_TEXT = 300


@dataclass(frozen=True)
class WebhookDeployment:
    """The deployer `webhook`. The receiver deduplicates by the idempotency key."""

    post: SignedPost
    health: Health

    def deploy(self, request: DeployRequest) -> DeployResult:
        """Post and wait for health; a refusal is a failed deployment, silence is tried again."""
        environment = request.environment
        deployer = environment.deployer
        if not isinstance(deployer, WebhookDeployer):
            raise ActionFailed(f"{environment.name} is not deployed by a webhook")
        payload = {
            "type": "deploy",
            "environment": environment.name,
            "repository": request.repository.name,
            "branch": environment.branch,
            "commit": request.commit,
            "execution_id": str(request.execution_id),
            "idempotency_key": request.key,
        }
        try:
            answer = self.post.send(
                deployer.url,
                payload,
                key=request.key,
                secret=deployer.secret,
                allow_private_network=deployer.allow_private_network,
                timeout_seconds=min(_LONGEST_WAIT_SECONDS, environment.limits.timeout_seconds),
            )
        except ActionInterrupted:
            raise
        except ActionFailed as error:
            return DeployResult(False, str(error))
        if problem := self.health.wait(request, None, {"DCT_ENVIRONMENT": environment.name}):
            return DeployResult(False, problem)
        told = _told(answer)
        url = told.get("url", "")
        return DeployResult(
            True,
            told.get("summary") or f"{environment.name} took {request.commit[:8]}",
            url if url.startswith(("https://", "http://")) else None,
        )


def _told(answer: Answer) -> dict[str, str]:
    """The texts of the answer, each one line and cut: what another system says is shown to people."""
    try:
        told: Any = json.loads(answer.body)
    except ValueError:
        return {}
    if not isinstance(told, dict):
        return {}
    texts = {key: told[key] for key in ("url", "summary") if isinstance(told.get(key), str)}
    return {key: " ".join(text.split())[:_LONGEST_TEXT] for key, text in texts.items()}
