"""Secrets by reference: read at each use, and never shown."""

from __future__ import annotations

import logging

import pytest

from dct_pipelines.clients.secrets import ReferenceSecrets
from dct_pipelines.domain.errors import CredentialRefused
from tests.fakes.processes import FakeProcesses


def test_a_variable_is_read_at_each_use():
    variables = {"TOKEN": "one"}
    secrets = ReferenceSecrets(lambda: variables, FakeProcesses())
    assert secrets.read("env:TOKEN") == "one"
    variables["TOKEN"] = "two"
    assert secrets.read("env:TOKEN") == "two"


def test_a_file_is_read_without_the_newline_at_its_end(tmp_path, caplog):
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    path.chmod(0o600)
    assert ReferenceSecrets(dict, FakeProcesses()).read(f"file:{path}") == "s3cret"
    assert not caplog.records


def test_a_file_that_others_can_read_is_warned_of_once_without_its_content(tmp_path, caplog):
    path = tmp_path / "token"
    path.write_text("s3cret")
    path.chmod(0o644)
    secrets = ReferenceSecrets(dict, FakeProcesses())
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert secrets.read(f"file:{path}") == "s3cret"
    assert len(caplog.records) == 1
    assert "chmod 600" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("env:MISSING", "env:MISSING holds no secret"),
        ("file:/does/not/exist", "cannot be read"),
        ("s3cret-itself", "env:NAME, file:/path or command:"),
    ],
)
def test_what_is_not_there_is_named_by_its_reference(reference, words):
    with pytest.raises(CredentialRefused, match=words) as caught:
        ReferenceSecrets(dict, FakeProcesses()).read(reference)
    assert "itself" not in str(caught.value)


def test_a_file_that_cannot_be_a_secret_is_refused(tmp_path):
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CredentialRefused, match="not UTF-8"):
        ReferenceSecrets(dict, FakeProcesses()).read(f"file:{path}")
    path.write_bytes(b"x" * 100_000)
    path.chmod(0o600)
    with pytest.raises(CredentialRefused, match="larger than"):
        ReferenceSecrets(dict, FakeProcesses()).read(f"file:{path}")
