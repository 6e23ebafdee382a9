"""What operators define and what actions made of it: environments, suites, channels, drafts, workspaces."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Index, Integer, Table, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import UUID

from dct_pipelines.domain.words import CheckState, DeploymentState, WorkspaceState
from dct_pipelines.store.tables.base import instant, json, metadata, one_of, reference, uuid_key, words


def _defined(name: str, *columns: Column[Any]) -> Table:
    """A table of named definitions: `spec` is the whole manifest, validated by its model."""
    return Table(
        name,
        metadata,
        uuid_key(),
        Column("name", Text, nullable=False, unique=True),
        words("description", default=""),
        json("spec"),
        *columns,
        words("created_by"),
        instant("created_at", now=True),
        instant("updated_at", now=True),
    )


test_suites = _defined("test_suites")
channels = _defined("channels")
workspace_drafts = _defined("workspace_drafts")
environments = _defined(
    "environments",
    words("branch"),
    words("current_commit", nullable=True),
    words("merged_from", nullable=True),
    instant("running_since"),
)

deployments = Table(
    "deployments",
    metadata,
    uuid_key(),
    reference("environment_id", "environments"),
    words("environment"),
    words("commit"),
    words("branch"),
    words("merged_from", nullable=True),
    words("state"),
    reference("execution_id", "trigger_executions"),
    instant("started_at", nullable=False),
    instant("ended_at"),
    words("summary", default=""),
    one_of("state", DeploymentState),
    Index("ix_deployments_environment_started_at", "environment", text("started_at DESC")),
    Index("ix_deployments_environment_ended_at", "environment", "ended_at"),
)

checks = Table(
    "checks",
    metadata,
    uuid_key(),
    reference("repository_item_id", "context_library"),
    words("commit"),
    words("name"),
    words("state"),
    words("summary", default=""),
    words("url", nullable=True),
    instant("reported_at", nullable=False),
    UniqueConstraint("repository_item_id", "commit", "name"),
    one_of("state", CheckState),
    Index("ix_checks_repository_item_id_reported_at", "repository_item_id", "reported_at"),
)

workspaces = Table(
    "workspaces",
    metadata,
    uuid_key(),
    words("title"),
    words("draft", nullable=True),
    reference("repository_item_id", "context_library"),
    words("branch"),
    words("start_commit"),
    words("directory"),
    words("state"),
    Column("execution_id", UUID(as_uuid=True), nullable=False, index=True),
    words("step", default=""),
    json("suites", default="[]"),
    json("deliverables", default="[]"),
    words("context_digest", default=""),
    words("archive_path", nullable=True),
    words("archive_sha256", nullable=True),
    instant("created_at", now=True),
    instant("retain_until"),
    instant("updated_at", now=True),
    instant("notified_at"),
    one_of("state", WorkspaceState),
    Index("ix_workspaces_state", "state"),
)

agents = Table(
    "agents",
    metadata,
    uuid_key(),
    words("profile"),
    reference("workspace_id", "workspaces", nullable=True),
    words("status"),
    Column("pid", Integer),
    instant("started_at"),
    instant("heartbeat_at"),
    instant("ended_at"),
    json("usage"),
    instant("created_at", now=True),
)
