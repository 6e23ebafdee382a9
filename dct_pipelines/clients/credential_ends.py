"""When a credential is looked at again, and the dates in which providers say when it ends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from dct_pipelines.domain.connected import CredentialEnd

FORMATS = ("%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d")
"""GitHub's header, whose zone is an offset or UTC, and GitLab's date, at whose beginning a token ends."""


class CredentialWatch:
    """Asks when it is due, and when the secret is not the one of before, e.g. because it was renewed.

    Only a hash of the secret is remembered, which differs in each process.
    """

    def __init__(self, read: Callable[[], str] | None, ask: Callable[[], datetime | None]) -> None:
        self._read = read
        self._ask = ask
        self._seen: int | None = None

    def end(self, *, is_due: bool) -> CredentialEnd | None:
        """What the provider says, if it is asked. One that fails is not asked again before it is due."""
        if self._read is None:
            return None
        before, self._seen = self._seen, hash(self._read())
        is_another = before is not None and before != self._seen
        return CredentialEnd(self._ask()) if is_due or is_another else None


def moment_of(written: str | None) -> datetime | None:
    """The moment that is written there, or None if it cannot be understood."""
    text = (written or "").strip().replace(" UTC", " +0000")
    for form in FORMATS:
        try:
            found = datetime.strptime(text, form)  # noqa: DTZ007 - without a zone it is UTC
            return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
    return None
