"""Secrets that commands print: no shell, no environment of ours, remembered for a minute, never shown."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from dct_pipelines.clients.processes import Processes
from dct_pipelines.clients.secret_commands import CommandSecrets
from dct_pipelines.clients.secrets import ReferenceSecrets
from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused
from dct_pipelines.domain.operations import SecretRef
from dct_pipelines.domain.process import IsolationMode
from tests.fakes.processes import Exit, FakeProcesses, Flood, Say, Wait

SHOW = "command:pass show 'jira token'"


class Uptime:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def secrets_of(*script, variables=None) -> tuple[ReferenceSecrets, FakeProcesses]:
    processes = FakeProcesses({"pass": tuple(script)})
    return ReferenceSecrets(lambda: variables or {}, processes), processes


def test_what_a_command_prints_is_the_secret_and_no_shell_reads_the_command():
    secrets, processes = secrets_of(Say("s3cret"))
    assert secrets.read(SHOW) == "s3cret"
    assert processes.commands[0].argv == ("pass", "show", "jira token")
    assert processes.commands[0].timeout_seconds == 10


def test_a_command_gets_what_it_needs_to_sign_in_and_none_of_our_secrets():
    given = {"HOME": "/srv/dct", "VAULT_ADDR": "https://vault.example.org", "JIRA_API_TOKEN": "s3cret"}
    secrets, processes = secrets_of(Say("one"), variables=given)
    secrets.read(SHOW)
    assert processes.commands[0].env == {"HOME": "/srv/dct", "VAULT_ADDR": "https://vault.example.org"}


def test_a_secret_is_remembered_for_a_minute():
    uptime, processes = Uptime(), FakeProcesses({"pass": (Say("s3cret"),)})
    secrets = CommandSecrets(processes, dict, uptime)
    for seconds, runs in ((0, 1), (59, 1), (61, 2)):
        uptime.seconds = seconds
        assert secrets.read("pass") == "s3cret"
        assert len(processes.commands) == runs


def test_a_refused_secret_is_asked_for_anew():
    secrets, processes = secrets_of(Say("s3cret"))
    secrets.read(SHOW)
    secrets.forget(SHOW)
    secrets.forget("env:ANY")
    secrets.read(SHOW)
    assert len(processes.commands) == 2


@pytest.mark.parametrize(
    ("reference", "script", "error", "words"),
    [
        (SHOW, (Say("s3cret"), Exit(1)), CredentialRefused, "exit code 1"),
        (SHOW, (Say("s3cret"), Wait(11)), ConnectionDown, "longer than 10 s"),
        (SHOW, (), CredentialRefused, "holds no secret"),
        (SHOW, (Flood(70_000),), CredentialRefused, "more than 65536 bytes"),
        ("command:psas show jira", (), CredentialRefused, "no program 'psas'"),
        ("command:pass 'show", (), CredentialRefused, "correct its quotes"),
        ("command:  ", (), CredentialRefused, "names no command"),
    ],
)
def test_a_command_that_gives_no_secret_is_named_without_what_it_printed(
    reference, script, error, words, caplog
):
    secrets, _ = secrets_of(*script)
    with caplog.at_level(logging.DEBUG), pytest.raises(error, match=words) as caught:
        secrets.read(reference)
    assert "s3cret" not in str(caught.value) + caplog.text


def test_a_real_command_is_run(tmp_path: Path):
    secrets = ReferenceSecrets(dict, Processes(tmp_path, IsolationMode.NONE))
    assert secrets.read("command:printf '%s\\n' 's3cret $HOME'") == "s3cret $HOME"


@pytest.mark.parametrize("reference", ["command:", "command:  ", "run:pass", "s3cret", "file:relative"])
def test_what_is_no_reference_is_refused_where_it_is_written(reference):
    with pytest.raises(ValidationError):
        TypeAdapter(SecretRef).validate_python(reference)
