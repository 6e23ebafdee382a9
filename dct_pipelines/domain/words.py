"""Names that appear in more than one room: kinds of items and events, types and states of triggers.

The glossary (docs/glossary.md) explains each; design decides them. Values are what the database,
the manifests, the API and the logs say.
"""

from __future__ import annotations

from enum import StrEnum


class ItemKind(StrEnum):
    """Kinds of context items. The last two are static: they only serve as context for workspaces."""

    JIRA_TICKET = "jira_ticket"
    JIRA_QUERY = "jira_query"
    SLACK_MESSAGE = "slack_message"
    SLACK_CHANNEL = "slack_channel"
    EMAIL_THREAD = "email_thread"
    MAILBOX = "mailbox"
    GIT_REPOSITORY = "git_repository"
    PULL_REQUEST = "pull_request"
    DOCUMENT = "document"
    LINK = "link"

    @property
    def is_dynamic(self) -> bool:
        """Whether a listener can watch it."""
        return self not in (ItemKind.DOCUMENT, ItemKind.LINK)


class TriggerType(StrEnum):
    """Who a trigger belongs to: decides which roles may edit it."""

    DEVELOPMENT = "development"
    TESTING = "testing"
    DEPLOYMENT = "deployment"
    BUSINESS = "business"


class TriggerStatus(StrEnum):
    """`paused` is an operator's pause, `disabled` its owner's switch, `error` ours: it cannot work."""

    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"
    ERROR = "error"


class Match(StrEnum):
    """How a trigger's conditions compose."""

    ANY = "any"
    ALL = "all"


class Coalesce(StrEnum):
    """What becomes of several firings of one trigger and subject that wait at the same time."""

    ALL = "all"
    """Each is carried out, in the order of the events."""
    LATEST = "latest"
    """Only the newest is; it stands for the others, which end cancelled."""


class CheckState(StrEnum):
    """State of one named check of a commit. `skipped` and `neutral` never count as a pass by themselves."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    NEUTRAL = "neutral"


class WaitReason(StrEnum):
    """Why an execution waits, truthfully."""

    RATE_LIMIT = "rate_limit"
    TRIGGER_BUSY = "trigger_busy"
    ITEM_BUSY = "item_busy"
    ENVIRONMENT_BUSY = "environment_busy"
    AGENT_QUOTA = "agent_quota"
    WORKSPACE_QUOTA = "workspace_quota"
    CONNECTION_DOWN = "connection_down"
    JOB_LOADING = "job_loading"
    PAUSED = "paused"
    RUN_SLOTS = "run_slots"
    RETRY_BACKOFF = "retry_backoff"
    DEBOUNCE = "debounce"
