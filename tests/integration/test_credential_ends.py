"""Credentials of connections that end before long: learned from the provider, told in time, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dct_pipelines.bootstrap import build
from dct_pipelines.domain.connected import CredentialEnd
from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused
from dct_pipelines.domain.git_refs import RefSnapshot
from dct_pipelines.engine.credential_ends import CredentialEnds
from dct_pipelines.engine.listening import Listening
from dct_pipelines.settings import load_settings
from dct_pipelines.store import expiring, tables
from dct_pipelines.store.database import Database
from tests.fakes.gitlab_server import TOKEN
from tests.support.alarm import Alarm, alarm
from tests.support.command_line import *  # noqa: F403
from tests.support.command_line import Dct
from tests.support.doctor import *  # noqa: F403
from tests.support.doctor import Look, change, told
from tests.support.hosted import gitlab
from tests.support.world import World

pytestmark = pytest.mark.integration
OPENED, RESOLVED = "incidents_opened", "incidents_resolved"
REF = "env:TOKEN"


@pytest.fixture(name="alarm")
def alarm_(database: Database) -> Iterator[Alarm]:
    with alarm(database) as made:
        made.connection(credential_ref=REF)
        yield made


@dataclass
class Silent:
    """A provider that is read without trouble unless it refuses, and says nothing about tokens."""

    refuses: bool = False

    def refs(self) -> RefSnapshot:
        if self.refuses:
            raise CredentialRefused("the credential was refused; renew it")
        return RefSnapshot(b"")

    def fetch(self, _wanted: Any) -> frozenset[str]:
        return frozenset()


@dataclass
class Provider(Silent):
    """One that says when the token ends if it is asked."""

    ends_at: datetime | None = None
    error: Exception | None = None
    is_renewed: bool = False
    asked: list[bool] = field(default_factory=list)

    def credential_end(self, *, is_due: bool) -> CredentialEnd | None:
        if not is_due and not self.is_renewed:
            return None
        self.asked.append(is_due)
        self.is_renewed = False
        if self.error is not None:
            raise self.error
        return CredentialEnd(self.ends_at)


@pytest.fixture
def provider(alarm: Alarm) -> Provider:
    return Provider(ends_at=alarm.clock.now() + timedelta(days=20))


def listening(alarm: Alarm, client: Any) -> Listening:
    """As in a process that has just begun."""
    world = alarm.world
    ends = CredentialEnds(world.database, world.clock, lambda _source: client)
    return Listening(
        world.database, world.clock, world.intake, world.decider, lambda *_: client, 5.0, ends=ends
    )


def read(alarm: Alarm, reader: Listening, times: int = 1) -> None:
    """The connection is due and read; then alerts are evaluated, until what is over is so for good."""
    for _ in range(times):
        alarm.connection(next_due_at=alarm.clock.now(), not_before=None)
        reader.tick("git")
        alarm.clock.advance(seconds=5)
    alarm.connection(next_due_at=alarm.clock.now() + timedelta(days=3650))
    alarm.look(4)


def test_the_end_of_a_credential_is_told_two_weeks_ahead_once_and_its_new_one_resolves_that(
    alarm: Alarm, provider: Provider
) -> None:
    reader = listening(alarm, provider)
    read(alarm, reader)
    assert alarm.told() == []
    for _ in range(8):
        alarm.clock.advance(days=1)
        read(alarm, reader)
    ((kind, said),) = alarm.told()
    assert kind == OPENED
    assert said == (
        f"The credential of connection here (git) ends on {provider.ends_at:%Y-%m-%d at %H:%M} UTC: "
        f"make a new one there and put it behind {REF}; `dct connection check here` then takes note of it"
    )
    [incident] = alarm.incidents()
    assert (incident.rule, incident.subject, incident.group) == (
        "connection",
        "credential of here",
        "connection here",
    )
    provider.ends_at, provider.is_renewed = alarm.clock.now() + timedelta(days=90), True
    read(alarm, reader)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_a_credential_that_ends_no_more_is_no_incident_any_more(alarm: Alarm, provider: Provider) -> None:
    provider.ends_at = alarm.clock.now() + timedelta(days=3)
    reader = listening(alarm, provider)
    read(alarm, reader)
    provider.ends_at, provider.is_renewed = None, True
    read(alarm, reader)
    assert alarm.kinds() == [OPENED, RESOLVED]


def test_another_reference_or_a_connection_that_is_switched_off_is_no_incident_any_more(
    alarm: Alarm, provider: Provider
) -> None:
    provider.ends_at = alarm.clock.now() + timedelta(days=3)
    read(alarm, listening(alarm, provider))
    alarm.connection(is_enabled=False)
    alarm.look(4)
    alarm.connection(is_enabled=True)
    alarm.look()
    alarm.connection(credential_ref="env:OTHER")
    alarm.look(4)
    assert alarm.kinds() == [OPENED, RESOLVED] * 2


def test_a_provider_is_asked_once_a_day_by_whatever_process(alarm: Alarm, provider: Provider) -> None:
    reader = listening(alarm, provider)
    read(alarm, reader, times=5)
    read(alarm, listening(alarm, provider), times=5)
    assert provider.asked == [True]
    alarm.clock.advance(hours=25)
    read(alarm, reader, times=5)
    assert provider.asked == [True, True]


def test_a_credential_that_was_refused_and_works_again_is_asked_for_its_new_end(
    alarm: Alarm, provider: Provider
) -> None:
    provider.ends_at = alarm.clock.now() + timedelta(minutes=1)
    reader = listening(alarm, provider)
    read(alarm, reader)
    provider.refuses = True
    read(alarm, reader)
    [at_first, at_last] = sorted(one.text for one in alarm.incidents())
    assert at_first.startswith("Connection here (git) is down: the credential was refused")
    assert at_last.startswith("The credential of connection here (git) ended on ")
    provider.refuses, provider.ends_at = False, None
    read(alarm, reader)
    assert alarm.incidents() == []


def test_what_a_provider_fails_to_say_is_in_no_reads_way(
    alarm: Alarm, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    reader = listening(alarm, provider)
    for error in (ConnectionDown("no answer"), ValueError("a fault")):
        provider.error = error
        alarm.clock.advance(days=2)
        read(alarm, reader, times=3)
    assert provider.asked == [True, True]
    [row] = alarm.world.rows(tables.connections)
    assert (row["health"], alarm.world.rows(tables.credential_ends)) == ("ok", [])
    assert "asking when the credential of here ends failed" in caplog.text


def test_where_a_provider_says_nothing_nothing_is_kept(alarm: Alarm, provider: Provider) -> None:
    read(alarm, listening(alarm, Silent()))
    alarm.connection(credential_ref=None)
    read(alarm, listening(alarm, provider))
    assert (provider.asked, alarm.world.rows(tables.credential_ends)) == ([], [])


def test_the_days_ahead_are_a_setting_and_none_are_never(alarm: Alarm, provider: Provider) -> None:
    alarm.thresholds = replace(alarm.thresholds, credential_days=0)
    read(alarm, listening(alarm, provider))
    alarm.clock.advance(days=30)
    alarm.look()
    assert alarm.told() == []
    alarm.thresholds = replace(alarm.thresholds, credential_days=1)
    alarm.look()
    assert alarm.kinds() == [OPENED]


def test_a_deployment_that_was_restored_and_is_paused_tells_it_too(alarm: Alarm, provider: Provider) -> None:
    provider.ends_at = alarm.clock.now() + timedelta(days=3)
    read(alarm, listening(alarm, provider))
    change(alarm.world.database, "DELETE FROM dct.incidents")
    restored = "UPDATE dct.intake_order SET restored_at = now(), restored_to = now()"
    change(alarm.world.database, restored)
    alarm.look()
    assert alarm.kinds() == [OPENED, OPENED]


def end(database: Database, ends_at: datetime | None, name: str = "here") -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE dct.connections SET credential_ref = :ref"), {"ref": REF})
        expiring.note(connection, name, REF, ends_at, datetime.now(UTC))


def test_maintenance_warns_of_a_credential_once_and_of_the_next_one_again(
    dct: Dct, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    World(database)
    now = datetime.now(UTC)
    maintain = ("maintenance", "run", "--step", "credentials")

    def said(*more: str) -> tuple[int, int]:
        [step] = dct(*maintain, *more, "--json").data["steps"]
        texts = "the credential of connection here (git) ends on "
        assert all(one.startswith(texts) for one in (*step["warnings"], *step["notes"]))
        return len(step["warnings"]), len(step["notes"])

    end(database, now + timedelta(days=15))
    assert said() == (0, 0)
    end(database, now + timedelta(days=13))
    assert [said("--dry-run"), said(), said()] == [(1, 0), (1, 0), (0, 1)]
    end(database, now + timedelta(days=12))
    assert said() == (1, 0)
    assert "found no token and 1 credential that ended or will before long" in dct(*maintain).out
    monkeypatch.setenv("DCT_ALERT_CREDENTIAL_DAYS", "3")
    assert said() == (0, 0)


def test_the_doctor_warns_of_it_and_says_how_to_mend_it(look: Look, database: Database) -> None:
    World(database)
    end(database, datetime.now(UTC) - timedelta(days=1))
    found = told(look(), "the credential of connection here (git) ended on")
    assert found.mend == (
        f"make a new one there and put it behind {REF}; `dct connection check here` then takes note of it"
    )


def test_what_was_said_of_a_connection_that_is_gone_or_has_another_credential_is_not_kept(
    database: Database,
) -> None:
    world = World(database)
    end(database, None, "nowhere")
    with database.begin() as connection:
        expiring.note(connection, "here", "env:OTHER", None, datetime.now(UTC))
    assert world.rows(tables.credential_ends) == []
    end(database, None)
    change(database, "DELETE FROM dct.context_library")
    change(database, "DELETE FROM dct.connections")
    assert world.rows(tables.credential_ends) == []


def test_a_check_and_a_read_of_a_real_connection_keep_the_end_and_never_the_token(
    dct: Dct, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAB_TOKEN", TOKEN)
    with gitlab() as lab:
        lab.clock.time = datetime.now(UTC)
        add = ("connection", "add", "gitlab", "lab", "--base", lab.base, "--credential", "env:LAB_TOKEN")
        assert dct(*add, "--allow-private-network").code == 0
        assert rows(database) == []
        app = build(load_settings())
        app.listening.tick("gitlab")
        [read_] = rows(database)
        change(database, "DELETE FROM dct.credential_ends")
        assert dct("connection", "check", "lab").code == 0
        [checked] = rows(database)
        app.database.dispose()
    for row in (read_, checked):
        assert row["ends_at"] == datetime(2027, 1, 31, tzinfo=UTC)
        assert (row["credential_ref"], TOKEN in str(row)) == ("env:LAB_TOKEN", False)


def rows(database: Database) -> list[dict[str, Any]]:
    with database.connect() as connection:
        return [dict(row._mapping) for row in connection.execute(tables.credential_ends.select())]
