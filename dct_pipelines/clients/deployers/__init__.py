"""Deployers: how a commit gets to an environment, one module a way.

Belongs here: `DeployerPort`s, and the directories of local releases.
Does not belong here: what a deployment means or is recorded as (actions).
"""

from __future__ import annotations

from dct_pipelines.clients.deployers.local import LocalDeployment
from dct_pipelines.clients.deployers.pipeline import PipelineDeployment
from dct_pipelines.clients.deployers.releases import Releases
from dct_pipelines.clients.deployers.webhook import WebhookDeployment

__all__ = ["LocalDeployment", "PipelineDeployment", "Releases", "WebhookDeployment"]
