"""What git says on standard error, mapped once to our errors, each saying what to do.

git has no error codes, only texts; with LC_ALL=C they are stable. What is not recognized is taken for
something that passes, never for an empty answer.
"""

from __future__ import annotations

import re
from pathlib import Path

from dct_pipelines.clients.files import is_full
from dct_pipelines.clients.git.locations import Location, Transport
from dct_pipelines.domain.errors import (
    ConnectionDown,
    CredentialRefused,
    DctError,
    DiskFull,
    ItemTemporarilyUnreadable,
    ItemUnreadable,
)
from dct_pipelines.domain.process import ProcessResult

_LONGEST_QUOTE = 600


class CacheDamaged(Exception):
    """Our own copy of the repository cannot be read; it is thrown away and fetched again."""


class Locked(Exception):
    """A lock file of git lies in the cache: left behind, because we hold the lock that guards them."""


class Refused(Exception):
    """A call inside the cache did not work: most often a commit is not there yet."""


class NotHad(Exception):
    """The repository no longer has one of the references or commits that were asked for."""


class NotAtomic(Exception):
    """The receiver cannot move several references together."""


_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded", re.I)
_LOCKED = re.compile(r"Unable to create '.*\.lock': File exists")
_NOT_HAD = re.compile(r"couldn't find remote ref|not our ref|unadvertised object|no such remote ref", re.I)
_DAMAGED = re.compile(
    r"is corrupt|is empty|inflate|hash mismatch|cannot be accessed|packfile .* index|unable to read tree|"
    r"not a git repository|failed to read object|unable to read|broken link|missing (?:blob|tree)|"
    r"remote did not send all necessary objects|bad config|unable to parse|garbage at end|unresolved delta|"
    r"unexpected line in .*packed-refs|unterminated line|"
    r"invalid sha1 pointer|unable to normalize|pack has bad object",
    re.I,
)
_REFUSED = re.compile(
    r"Authentication failed|could not read (?:Username|Password)|terminal prompts disabled|"
    r"Permission denied \(|returned error: 40[13]|Access denied|invalid credentials|"
    r"error in libcrypto|invalid format|Permission to .* denied",
    re.I,
)
_HOST_KEY = re.compile(r"Host key verification failed|REMOTE HOST IDENTIFICATION HAS CHANGED")
_REDIRECT = re.compile(r"returned error: 30\d")
_CERTIFICATE = re.compile(r"certificate|SSL peer|self[- ]signed", re.I)
_MISSING_REPOSITORY = re.compile(
    r"does not appear to be a git repository|invalid gitfile|"
    r"repository '?.*'? not found|Repository not found|does not exist|"
    r"not found:? did you|returned error: 404|could not be found",
    re.I,
)
_UNSAFE = re.compile(r"fsck error", re.I)
_DENIED_FILE = re.compile(r"Permission denied|Operation not permitted", re.I)
_DAMAGED_THERE = re.compile(r"remote: |on the remote side|packed-refs|upload-pack: ", re.I)


def explain_local(said: str, folder: Path) -> Exception:
    """Why a call inside the cache, which is in `folder`, failed. Only we write there: odd content is damage.

    git does not always say that the disk was full, so that is looked at first.
    """
    if _DISK_FULL.search(said) or is_full(folder):
        return DiskFull(f"the disk of the git cache is full; free some space: {_cut(said)}")
    if _LOCKED.search(said):
        return Locked(_cut(said))
    return CacheDamaged(_cut(said)) if _DAMAGED.search(said) else Refused(said)


def explain_remote(result: ProcessResult, location: Location, secrets: tuple[str, ...]) -> Exception:
    """Why a call to the repository failed."""
    said, where = words(result, secrets), location.url
    if result.timed_out:
        took = f"{result.duration_seconds:.0f} s"
        return ConnectionDown(f"{where} did not answer within {took}; it is tried again with growing pauses")
    if _DISK_FULL.search(said):
        return DiskFull(f"a disk is full while talking to {where}; free some space: {_cut(said)}")
    if _LOCKED.search(said):
        return Locked(_cut(said))
    if _NOT_HAD.search(said):
        return NotHad(_cut(said))
    if _UNSAFE.search(said):
        return ItemUnreadable(
            f"{where} holds something that git refuses for safety; run `git fsck` there: {_cut(said)}"
        )
    if "does not support --atomic" in said:
        return NotAtomic(said)
    if location.transport is Transport.FILE:
        return _of_a_folder(said, where)
    return _of_a_host(said, where)


def _of_a_folder(said: str, where: str) -> Exception:
    if _MISSING_REPOSITORY.search(said):
        return ItemUnreadable(
            f"there is no git repository that can be read at {where}; check its path: {_cut(said)}"
        )
    if _DAMAGED.search(said):
        if _DAMAGED_THERE.search(said):
            return ItemUnreadable(f"the repository at {where} is damaged; run `git fsck` there: {_cut(said)}")
        return CacheDamaged(_cut(said))
    if _DENIED_FILE.search(said):
        return ItemUnreadable(
            f"the repository at {where} may not be read by us; change its permissions: {_cut(said)}"
        )
    return ItemTemporarilyUnreadable(f"the repository at {where} could not be read this time: {_cut(said)}")


def _of_a_host(said: str, where: str) -> DctError | Exception:
    if _HOST_KEY.search(said):
        return CredentialRefused(
            f"the host of {where} shows another key than before; if that is right, remove the old one from "
            f"known_hosts in the git cache: {_cut(said)}"
        )
    if _REFUSED.search(said):
        return CredentialRefused(
            f"{where} refused the credential; renew it and run `dct connection check`: {_cut(said)}"
        )
    if _REDIRECT.search(said):
        return ItemUnreadable(
            f"{where} is answered by a redirect, which is not followed; write the address that it has now"
        )
    if _CERTIFICATE.search(said):
        return ConnectionDown(
            f"the certificate of {where} is not trusted; check the host or the CA: {_cut(said)}"
        )
    if _MISSING_REPOSITORY.search(said):
        return ItemUnreadable(
            f"{where} does not exist, or the credential may not see it; check both: {_cut(said)}"
        )
    if _DAMAGED.search(said) and not _DAMAGED_THERE.search(said):
        return CacheDamaged(_cut(said))
    return ConnectionDown(
        f"{where} could not be reached; it is tried again with growing pauses: {_cut(said)}"
    )


def words(result: ProcessResult, secrets: tuple[str, ...] = ()) -> str:
    """What git said, on one line, without secrets."""
    said = result.stderr.decode("utf-8", "replace").strip()
    for secret in secrets:
        said = said.replace(secret, "***")
    said = re.sub(r"://[^/@\s]+@", "://***@", said)
    return " ".join(said.split()) or f"exit code {result.exit_code}, without a word"


def _cut(said: str) -> str:
    """Both ends of a long answer: the first line tends to name the cause, the last one the consequence."""
    if len(said) <= _LONGEST_QUOTE:
        return said
    half = _LONGEST_QUOTE // 2
    return f"{said[:half]} [...] {said[-half:]}"
