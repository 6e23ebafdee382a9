"""When a provider is asked for the end of a credential, and how it says it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dct_pipelines.clients.credential_ends import CredentialWatch, moment_of
from dct_pipelines.domain.connected import CredentialEnd
from dct_pipelines.domain.errors import ConnectionDown

SOON = datetime(2026, 3, 9, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        ("2026-03-09 06:00:00 UTC", SOON),
        ("2026-03-09 01:00:00 -0500", SOON),
        (" 2026-03-09 06:00:00 +0000 ", SOON),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("0001-01-01 00:00:00 +1400", None),
        ("in a while", None),
        ("", None),
        (None, None),
    ],
)
def test_a_date_is_understood_as_providers_write_it_and_anything_else_is_none(
    written: str | None, moment: datetime | None
) -> None:
    assert moment_of(written) == moment


def test_a_provider_is_asked_when_it_is_due_and_when_the_secret_is_another_one() -> None:
    secrets, asked = ["one"], list[str]()

    def ask() -> datetime:
        asked.append(secrets[0])
        return SOON

    watch = CredentialWatch(lambda: secrets[0], ask)
    assert watch.end(is_due=False) is None
    assert watch.end(is_due=True) == CredentialEnd(SOON)
    assert watch.end(is_due=False) is None
    secrets[0] = "other"
    assert watch.end(is_due=False) == CredentialEnd(SOON)
    assert watch.end(is_due=False) is None
    assert asked == ["one", "other"]
    assert "other" not in vars(watch).values(), "it remembers no secret"


def test_a_provider_that_fails_to_say_it_is_not_asked_at_each_read() -> None:
    secrets, asked = ["one"], list[str]()

    def ask() -> datetime:
        asked.append(secrets[0])
        raise ConnectionDown("no")

    watch = CredentialWatch(lambda: secrets[0], ask)
    watch.end(is_due=False)
    secrets[0] = "other"
    with pytest.raises(ConnectionDown):
        watch.end(is_due=False)
    assert watch.end(is_due=False) is None
    assert asked == ["other"]


def test_without_a_credential_nobody_is_asked() -> None:
    assert CredentialWatch(None, lambda: SOON).end(is_due=True) is None
