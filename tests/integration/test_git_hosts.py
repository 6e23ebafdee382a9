"""Git over a network: credentials, hosts that refuse, and hosts that are away."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dct_pipelines.clients.git import GitClient, GitLimits
from dct_pipelines.clients.git.locations import Transport, locate
from dct_pipelines.clients.processes import Processes
from dct_pipelines.domain.errors import ConnectionDown, CredentialRefused, InvalidInput, ItemUnreadable
from dct_pipelines.domain.git import PushStatus, RefUpdate, RepositoryRef
from dct_pipelines.domain.process import Command, ProcessResult
from tests.support.git_http import GitHost, serving
from tests.support.repos import SampleRepository

SECRET = "s3cret-token"


class Watched(Processes):
    """Remembers what was run, to prove what was not said."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.commands: list[Command] = []

    def run(self, command: Command) -> ProcessResult:
        self.commands.append(command)
        return super().run(command)


@pytest.fixture
def origin(tmp_path: Path) -> SampleRepository:
    return SampleRepository.create(tmp_path / "served" / "origin.git")


@pytest.fixture
def host(tmp_path: Path, origin: SampleRepository) -> Iterator[GitHost]:
    with serving(GitHost(tmp_path / "served", SECRET)) as host:
        yield host


@pytest.fixture
def processes(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.fixture
def client(tmp_path: Path, processes: Watched) -> GitClient:
    return GitClient(tmp_path / "cache", processes, GitLimits(list_timeout_seconds=10))


def test_a_token_opens_a_host_and_stands_in_no_argument_and_no_file(
    client: GitClient, processes: Watched, host: GitHost, origin: SampleRepository, tmp_path: Path
) -> None:
    head = origin.commit("main", {"a": "1\n"})
    work = origin.commit("work", {"b": "1\n"}, parents=[head])
    repo = RepositoryRef(host.url("origin.git"), lambda: SECRET)
    assert client.list_refs(repo).branches == {"main": head, "work": work}
    assert client.fetch(repo, {"refs/heads/main": head, "refs/heads/work": work}) == frozenset()
    told = client.push(repo, {"refs/heads/main": RefUpdate(work, head)})
    assert told["refs/heads/main"].status is PushStatus.DONE
    assert origin.head("main") == work
    assert set(host.seen) == {SECRET}
    assert not any(SECRET in word for command in processes.commands for word in command.argv)
    kept = [file for file in (tmp_path / "cache").rglob("*") if file.is_file()]
    assert not any(SECRET.encode() in file.read_bytes() for file in kept)


def test_a_renewed_token_counts_at_the_next_call(
    client: GitClient, host: GitHost, origin: SampleRepository
) -> None:
    origin.commit("main", {"a": "1\n"})
    tokens = iter(["expired", SECRET])
    repo = RepositoryRef(host.url("origin.git"), lambda: next(tokens))
    with pytest.raises(CredentialRefused) as refused:
        client.list_refs(repo)
    assert "renew it" in str(refused.value)
    assert "expired" not in str(refused.value)
    assert client.list_refs(repo).default_branch == "main"


def test_a_host_that_wants_a_credential_does_not_hang_without_one(client: GitClient, host: GitHost) -> None:
    with pytest.raises(CredentialRefused, match="refused the credential"):
        client.list_refs(RepositoryRef(host.url("origin.git")))


def test_a_repository_that_a_host_does_not_have(client: GitClient, host: GitHost) -> None:
    with pytest.raises(ItemUnreadable, match="does not exist, or the credential may not see it"):
        client.list_refs(RepositoryRef(host.url("missing.git"), lambda: SECRET))


@pytest.mark.parametrize(
    ("status", "expected"),
    [(403, CredentialRefused), (404, ItemUnreadable), (500, ConnectionDown), (503, ConnectionDown)],
)
def test_a_status_decides_what_is_wrong(
    client: GitClient, host: GitHost, status: int, expected: type[Exception]
) -> None:
    host.status = status
    with pytest.raises(expected):
        client.list_refs(RepositoryRef(host.url("origin.git"), lambda: SECRET))


def test_a_host_that_is_away_is_a_connection_down(client: GitClient) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/origin.git"
        with pytest.raises(ConnectionDown, match="could not be reached") as down:
            client.list_refs(RepositoryRef(url))
    assert down.value.transient


def test_a_host_that_never_answers_is_given_up(tmp_path: Path) -> None:
    client = GitClient(tmp_path / "cache", Processes(tmp_path), GitLimits(list_timeout_seconds=0.3))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/origin.git"
        with pytest.raises(ConnectionDown, match="did not answer within 0 s"):
            client.list_refs(RepositoryRef(url))


# ---------------------------------------------------------------- ssh, played by a program of that name

_SSH = """#!/bin/sh
printf '%s\\n' "$@" > "$RECORD/arguments"
for word in "$@"; do case "$word" in */key-*) cp -p "$word" "$RECORD/key";; esac; done
[ -f "$RECORD/refuse" ] && { cat "$RECORD/refuse" >&2; exit 255; }
for word in "$@"; do last="$word"; done
exec sh -c "$last"
"""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where a stand-in for ssh, first on PATH, notes what it was called with."""
    folder = tmp_path / "ssh"
    folder.mkdir()
    (folder / "ssh").write_text(_SSH.replace("$RECORD", str(folder)))
    (folder / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def test_a_private_key_is_a_file_for_one_call_only(
    client: GitClient, record: Path, origin: SampleRepository, tmp_path: Path
) -> None:
    head = origin.commit("main", {"a": "1\n"})
    key = "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----"
    repo = RepositoryRef(f"ssh://git@host.invalid{origin.url}", lambda: key)
    assert client.list_refs(repo).branches == {"main": head}
    assert (record / "key").read_text() == key + "\n"
    assert stat.S_IMODE((record / "key").stat().st_mode) == 0o600
    assert not list((tmp_path / "cache").rglob("key-*"))
    said = (record / "arguments").read_text()
    assert "BEGIN" not in said
    for option in (
        "BatchMode=yes",
        "StrictHostKeyChecking=accept-new",
        "IdentitiesOnly=yes",
        "ForwardAgent=no",
    ):
        assert option in said


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("git@host.invalid: Permission denied (publickey).", CredentialRefused),
        ("Host key verification failed.", CredentialRefused),
        ("ssh: Could not resolve hostname host.invalid: Name or service not known", ConnectionDown),
        ("ERROR: Repository not found.", ItemUnreadable),
        ("kex_exchange_identification: Connection closed by remote host", ConnectionDown),
    ],
)
def test_what_ssh_says_decides_what_is_wrong(
    client: GitClient, record: Path, origin: SampleRepository, words: str, expected: type[Exception]
) -> None:
    (record / "refuse").write_text(words + "\n")
    with pytest.raises(expected) as raised:
        client.list_refs(RepositoryRef(f"git@host.invalid:{origin.url}"))
    assert type(raised.value) is expected


# ---------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("url", "transport"),
    [
        ("/srv/a b.git", Transport.FILE),
        ("file:///srv/a%20b.git", Transport.FILE),
        ("git@example.com:team/shop.git", Transport.SSH),
        ("ssh://git@example.com:2222/team/shop.git", Transport.SSH),
        ("https://example.com/team/shop.git", Transport.HTTPS),
        ("http://localhost:8080/shop.git", Transport.HTTP),
    ],
)
def test_these_addresses_are_accepted(url: str, transport: Transport) -> None:
    assert locate(url).transport is transport


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("shop.git", "write an absolute path"),
        ("", "write an absolute path"),
        ("https://me:pw@example.com/shop.git", "contains a credential"),
        ("https://token@example.com/shop.git", "contains a credential"),
        ("ssh://me:pw@example.com/shop.git", "contains a credential"),
        ("http://example.com/shop.git", "write https://"),
        ("ext::sh -c id", "write an absolute path"),
        ("ext://sh", "is not supported"),
        ("git://example.com/shop.git", "is not supported"),
        ("ssh://-oProxyCommand=id/x", "no valid host name"),
        ("ssh://-oProxyCommand=id@host/x", "no valid host name"),
        ("-oProxyCommand=id@host:x", "write an absolute path"),
        ("git@host:--upload-pack=x", "write an absolute path"),
        ("file://other-host/srv/x.git", "is not supported"),
        ("https://[::1/x", "not a valid URL"),
        ("/srv/\0x", "NUL"),
    ],
)
def test_these_addresses_are_refused_without_repeating_a_secret(url: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as refused:
        locate(url)
    assert "pw@" not in str(refused.value)


def test_a_path_and_its_file_url_share_one_copy() -> None:
    assert locate("/srv/shop.git").key == locate("file:///srv/shop.git").key
    assert locate("/srv/shop.git").key != locate("/srv/other.git").key
