"""Names that appear in more than one room: kinds of manifests and of items, types and states.

The glossary (docs/glossary.md) explains each; design decides them. Values are what the database,
the manifests, the API and the logs say.
"""

from __future__ import annotations

from enum import StrEnum

OUTBOX = "outbox"
"""The channel that is always there: one file a message, in the directory of that name."""
RESTORED_OUTBOX = "outbox.restored"
"""Where its messages come back to from a backup, as whoever reads them may have handled them since."""


class Kind(StrEnum):
    """Kinds of manifests, each after those that it may refer to."""

    CONNECTION = "connection"
    ITEM = "item"
    SUITE = "suite"
    CHANNEL = "channel"
    ENVIRONMENT = "environment"
    DRAFT = "draft"
    TRIGGER = "trigger"


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


class DeploymentState(StrEnum):
    """States of one deployment."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


class WorkspaceState(StrEnum):
    """States of a workspace."""

    CREATING = "creating"
    OPEN = "open"
    ARCHIVED = "archived"


class WorkspaceCode(StrEnum):
    """What is on disk of a workspace that is open."""

    THERE = "there"
    MISSING = "missing"
    """A directory without a repository: a backup holds the context of a workspace only."""
    GONE = "gone"
    """Not even a directory."""


class DecisionOutcome(StrEnum):
    """`not_matched` is never stored: it is replayed when asked. The others are rows."""

    FIRED = "fired"
    HELD = "held"
    DEDUPLICATED = "deduplicated"
    IGNORED = "ignored"
    NOT_MATCHED = "not_matched"


class ResultState(StrEnum):
    """State of an action's stored result: the outcomes, and what can come before or instead."""

    STARTED = "started"
    DONE = "done"
    NOTHING_TO_DO = "nothing_to_do"
    PARTLY = "partly"
    FAILED = "failed"
    UNCERTAIN = "uncertain"

    @property
    def is_settled(self) -> bool:
        """Whether the action is not done again by a later attempt."""
        return self not in (ResultState.STARTED, ResultState.FAILED)


class ReadOutcome(StrEnum):
    """How a read of a connection as a whole went."""

    OK = "ok"
    THROTTLED = "throttled"
    """Told to wait, which is no failure."""
    UNREACHABLE = "unreachable"
    """No answer, or none that can be understood."""
    REFUSED = "refused"
    """The credential, or the address, is not accepted."""


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
    RESTORED = "restored"
