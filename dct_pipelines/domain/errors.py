"""One error root. Two axes are decided once, where the error is born: `transient` and `scope`.

The docstring of a class is the message that a reader gets when the raiser gives none.
Every message says what to do next.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from dct_pipelines.domain.quotas import SlotKind
from dct_pipelines.domain.words import WaitReason

LONGEST_LINE = 2_000
"""Characters of one line of a message: it may quote what somebody else wrote."""


class Scope(StrEnum):
    """How far an error reaches: what has to stop because of it."""

    INPUT = "input"
    """What somebody wrote is wrong; nothing was stored."""
    ITEM = "item"
    """One context item cannot be read; its siblings go on."""
    CONNECTION = "connection"
    """A whole connection is down; other connections go on."""
    EXECUTION = "execution"
    """One execution ends or tries again."""
    SYSTEM = "system"
    """The deployment itself: database, disk, configuration."""


class DctError(Exception):
    """Dynamic Context Triggers could not go on; the log has the details."""

    transient: ClassVar[bool] = False
    scope: ClassVar[Scope] = Scope.SYSTEM
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str | None = None) -> None:
        lines = message.split("\n") if message else [" ".join((type(self).__doc__ or "").split())]
        super().__init__("\n".join(map(_fit, lines)))


def _fit(line: str) -> str:
    """The line as it can be stored, logged and shown: no control characters, nothing endless."""
    cut = f"{line[: LONGEST_LINE - 1]}…" if len(line) > LONGEST_LINE else line
    return "".join(character if character.isprintable() else " " for character in cut)


class InvalidInput(DctError):
    """What was given is not valid; correct it and try again."""

    scope = Scope.INPUT
    exit_code = 2


class NotFound(InvalidInput):
    """There is nothing of that name; list what there is with `dct ... list`."""


class NotPermitted(DctError):
    """This user's role does not allow that; ask an operator or admin."""

    scope = Scope.INPUT
    exit_code = 3


class InvalidSetting(InvalidInput):
    """An environment variable has a value that cannot be used; correct it in the environment or `.env`."""


class DatabaseUnavailable(DctError):
    """The database does not answer; work waits and goes on by itself once it is back."""

    transient = True
    exit_code = 4


class SchemaMismatch(DctError):
    """The database's tables are not those of this release; run `dct db migrate`, then `dct db verify`."""

    exit_code = 4


class EmbeddedPostgresError(DctError):
    """The embedded PostgreSQL could not be started; set DCT_DATABASE_URL to use a server of your own."""

    exit_code = 4


class DiskFull(DctError):
    """The disk is full; free some space. Work waits and goes on by itself afterwards."""

    transient = True


class ConnectionDown(DctError):
    """The provider does not answer; its connection is tried again with growing pauses."""

    transient = True
    scope = Scope.CONNECTION


class CredentialRefused(DctError):
    """The provider refused the credential; renew it and run `dct connection check`."""

    scope = Scope.CONNECTION


class AddressRefused(DctError):
    """The address of the connection may not be used; correct its base, see `dct connection show`."""

    scope = Scope.CONNECTION


class Throttled(ConnectionDown):
    """The provider asked us to wait."""

    def __init__(self, message: str | None = None, *, not_before: datetime) -> None:
        super().__init__(message)
        self.not_before = not_before


class ItemUnreadable(DctError):
    """The item is missing or may not be read; check its location with `dct item show`."""

    scope = Scope.ITEM


class ItemTemporarilyUnreadable(ItemUnreadable):
    """The item could not be read this time; it is tried again at the next tick."""

    transient = True


class PayloadUnreadable(DctError):
    """What the provider sent could not be understood; it is kept raw, see `dct connection letters`."""

    scope = Scope.ITEM


class DeliveryRefused(DctError):
    """The delivery is not signed as the connection's webhook secret says; nothing of it was looked at."""

    scope = Scope.INPUT
    exit_code = 3


class ActionFailed(DctError):
    """The action could not be done; its message says what stood in the way."""

    scope = Scope.EXECUTION


class ActionInterrupted(ActionFailed):
    """The action was stopped by something that passes; the execution may try again."""

    transient = True


class Unconfirmed(ActionFailed):
    """The message may have arrived, and is not sent again; ask there whether it has."""


class TemplateFailed(ActionFailed):
    """A template names something that does not exist; correct the trigger's action."""


class ProcessFailed(ActionFailed):
    """A command did not end well; see its last lines."""


class IsolationUnavailable(DctError):
    """Commands must run isolated, but this machine offers no way; install bubblewrap or run us as root."""


class StaleAttempt(DctError):
    """Another attempt holds this execution; this run ends without doing anything."""

    scope = Scope.EXECUTION


class IllegalTransition(DctError):
    """An execution cannot go from its state to that one."""

    scope = Scope.EXECUTION


class LeaseBusy(DctError):
    """What this action needs is held by another execution; it is tried again when that one is done."""

    transient = True
    scope = Scope.EXECUTION
    wait_reason: WaitReason = WaitReason.ENVIRONMENT_BUSY


class QuotaFull(LeaseBusy):
    """There are as many of these as may be at the same time; it is tried again when one has ended."""

    def __init__(self, message: str | None = None, *, kind: SlotKind) -> None:
        super().__init__(message)
        is_agent = kind is SlotKind.AGENT
        self.wait_reason = WaitReason.AGENT_QUOTA if is_agent else WaitReason.WORKSPACE_QUOTA


class ExecutionCancelled(ActionFailed):
    """Somebody asked to stop this execution; `dct execution retry` takes it up again."""


class ExecutionTimedOut(ActionFailed):
    """The execution took longer than its trigger's timeout_seconds; raise the limit or look what hangs."""


class AlreadyRunning(DctError):
    """It runs already; stop that one first, or set DCT_HOME to another directory."""


class BackupUnusable(DctError):
    """The backup is damaged or of a release that this one cannot read; nothing was changed."""


class NotEmpty(DctError):
    """There is a deployment already where the backup should go; nothing was changed."""

    exit_code = 2


class StillUncertain(DctError):
    """Something of a restored deployment is not decided yet; see `dct restore list`."""


class PoolUnreachable(DctError):
    """No worker pool answers for this home; `dct up` keeps one running and writes log/warm-pool.log."""

    transient = True


class StackNotReady(DctError):
    """A service did not become ready; see its log."""


class CollectorUnavailable(DctError):
    """The collector of traces does not answer; nothing else waits for it, and it is tried again."""

    transient = True


class TracesRefused(DctError):
    """The collector does not take these traces, now or later; its own log says why."""
