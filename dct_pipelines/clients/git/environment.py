"""What every git of ours is started with: our configuration only, no hooks, no prompts, one protocol.

Sources: git-config(1) "protected configuration"; Gitea's modules/git for the same rules in production.
Secrets go through the environment of one call: never into an argument, an address, or a file that stays.
"""

from __future__ import annotations

import base64
import os
import shlex
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dct_pipelines.clients.files import replace_file, room_for
from dct_pipelines.clients.git.locations import Location, Transport
from dct_pipelines.clients.git.reach import pins
from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.domain.git import RepositoryRef

# Variables of the system that git, curl and ssh need in some networks; bootstrap passes those that are set.
PASSED_ON = (
    "SSH_AUTH_SOCK",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "GIT_SSL_CAINFO",
)

_LONGEST_CALL_SECONDS = 6 * 3600  # a key file older than this was left behind by a process that was killed

# `safe.directory = *`: in repositories of others we run upload-pack and receive-pack only, the latter with
# its hooks and programs switched off. `unpackLimit`: a pack appears whole or not at all, also after a kill.
# Relaxed fsck: mistakes that old, honest histories have; what could harm a work tree stays an error.
# `followRedirects`: a redirect would lead past the judging of hosts; it also keeps `http-alternates` away.
CONFIG = """\
[core]
\thooksPath = /dev/null
\tfsmonitor = false
\tattributesFile = /dev/null
\texcludesFile = /dev/null
\tquotePath = false
[safe]
\tdirectory = *
[credential]
\thelper =
[protocol]
\tversion = 2
[protocol "ext"]
\tallow = never
[gc]
\tauto = 0
[maintenance]
\tauto = false
[fetch]
\tfsckObjects = true
\tunpackLimit = 1
\trecurseSubmodules = false
[fetch "fsck"]
\tzeroPaddedFilemode = ignore
\tbadTimezone = ignore
\tmissingSpaceBeforeDate = ignore
\tmissingSpaceBeforeEmail = ignore
\tmissingNameBeforeEmail = ignore
\tbadEmail = ignore
[uploadpack]
\tallowAnySHA1InWant = true
[submodule]
\trecurse = false
[push]
\tfollowTags = false
\tgpgSign = false
[http]
\tfollowRedirects = false
\tlowSpeedLimit = 1000
\tlowSpeedTime = 60
[advice]
\tfetchShowForcedUpdates = false
[log]
\tshowSignature = false
[i18n]
\tlogOutputEncoding = UTF-8
[user]
\tuseConfigOnly = true
"""

# The other side of a push to a path is started by us, so its repository's own programs must not run either.
RECEIVE_PACK = (
    "git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.alternateRefsCommand=true"
    " -c receive.denyCurrentBranch=refuse -c receive.autogc=false -c gc.auto=0 receive-pack"
)


class Surroundings:
    """Makes the environment of a call. `folder`, in the cache, has our configuration, known hosts, home."""

    def __init__(self, folder: Path, extra: Mapping[str, str], guard: AddressGuard) -> None:
        self._folder = folder
        self._extra = dict(extra)
        self._guard = guard

    def base(self) -> dict[str, str]:
        """For calls that stay on this machine and need no secret."""
        return {
            "HOME": str(self._folder / "home"),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._folder / "config"),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "false",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_ALLOW_PROTOCOL": "file",
        }

    def prepare(self) -> None:
        """Write what calls refer to; harmless when several processes do it at once."""
        config = self._folder / "config"
        with room_for("git's configuration"):
            self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self._folder / "home").mkdir(parents=True, exist_ok=True)
            if not config.exists() or config.read_text() != CONFIG:
                replace_file(config, CONFIG.encode())

    @contextmanager
    def towards(
        self, repo: RepositoryRef, location: Location
    ) -> Iterator[tuple[dict[str, str], tuple[str, ...]]]:
        """For calls to the repository itself: the environment, and the secrets that no message may repeat."""
        self.prepare()
        env = self.base() | {"GIT_ALLOW_PROTOCOL": location.transport.value}
        if location.transport is Transport.FILE:
            yield env, ()
            return
        env |= self._extra
        pinned = pins(location, self._guard, self._extra)
        secret = repo.credential() if repo.credential else None
        if location.transport is not Transport.SSH:
            header = _basic(repo.username, secret) if secret else ""
            headers = {f"http.{location.base}.extraHeader": header} if header else {}
            yield (
                env | _one_call_config({**pinned, **headers}),
                tuple(filter(None, (secret, header.rpartition(" ")[2]))),
            )
            return
        with _key_file(self._folder, secret) as key:
            yield (
                env | {"GIT_SSH_COMMAND": self._ssh(key), "GIT_SSH_VARIANT": "ssh"},
                (secret,) if secret else (),
            )

    def _ssh(self, key: Path | None) -> str:
        """No prompt ever. A host is trusted when first met and must stay the same from then on (accept-new):
        asking nobody would hang, and accepting anything would let a changed host take the credential.
        """
        options = {
            "BatchMode": "yes",
            "StrictHostKeyChecking": "accept-new",
            "UserKnownHostsFile": f'"{self._folder / "known_hosts"}" ~/.ssh/known_hosts',
            "ConnectTimeout": "20",
            "ServerAliveInterval": "15",
            "ForwardAgent": "no",
            "ClearAllForwardings": "yes",
            "PermitLocalCommand": "no",
        }
        words = ["ssh", *(f"-o{name}={value}" for name, value in options.items())]
        if key:
            words += ["-oIdentitiesOnly=yes", "-oIdentityAgent=none", "-i", str(key)]
        return shlex.join(words)


def _basic(username: str, secret: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{username}:{secret}".encode()).decode()


def _one_call_config(values: Mapping[str, str]) -> dict[str, str]:
    env = {"GIT_CONFIG_COUNT": str(len(values))}
    for number, (name, value) in enumerate(values.items()):
        env |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return env


@contextmanager
def _key_file(folder: Path, secret: str | None) -> Iterator[Path | None]:
    """ssh takes a private key from a file only: readable by us alone, and gone after the call."""
    for left_over in folder.glob("key-*"):
        if left_over.stat().st_mtime < time.time() - _LONGEST_CALL_SECONDS:
            left_over.unlink(missing_ok=True)
    if not secret:
        yield None
        return
    with room_for("a private key"):
        descriptor, name = tempfile.mkstemp(dir=folder, prefix="key-")
    try:
        with room_for("a private key"), os.fdopen(descriptor, "w") as file:
            file.write(secret if secret.endswith("\n") else secret + "\n")
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
