"""Where a repository is: which addresses are accepted, and which are refused with a reason."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dct_pipelines.domain.errors import InvalidInput

# git's short form of ssh: user@host:path. A host that starts with a dash would be an option of ssh.
_SCP_LIKE = re.compile(r"[A-Za-z0-9][\w.-]*@[A-Za-z0-9][\w.-]*:(?!//)[^-\x00-\x1f][^\x00-\x1f]*")
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class Transport(StrEnum):
    """How git gets there; the value is git's own word for it (GIT_ALLOW_PROTOCOL)."""

    FILE = "file"
    SSH = "ssh"
    HTTPS = "https"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class Location:
    """An accepted address: `url` as git gets it, `base` as the part that a credential is good for."""

    url: str
    transport: Transport
    base: str = ""

    @property
    def key(self) -> str:
        """A name for the cache's directory: the same for the same address, with nothing of it inside."""
        return hashlib.sha256(self.url.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def locate(url: str) -> Location:
    """Check an address; `InvalidInput` says what is wrong with it and what to write instead."""
    if "\0" in url:
        raise InvalidInput("the address of a repository contains a NUL character; correct it")
    if url.startswith("/"):
        return Location(str(Path(url)), Transport.FILE)
    if _SCP_LIKE.fullmatch(url):
        return Location(url, Transport.SSH)
    if "://" not in url:
        raise InvalidInput(
            f"{url[:200]!r} is not the address of a repository; write an absolute path, or "
            "https://, ssh://, file:// or user@host:path"
        )
    return _from_url(url)


def _from_url(url: str) -> Location:
    try:
        parts = urlsplit(url)
        host, password = parts.hostname or "", parts.password
    except ValueError as error:
        raise InvalidInput(f"the address of the repository is not a valid URL: {error}") from error
    if password is not None or (parts.scheme in ("http", "https") and parts.username is not None):
        raise InvalidInput(
            f"the address of the repository at {host!r} contains a credential, which would end up in logs; "
            "take it out, renew it, and refer to it from the connection"
        )
    if parts.scheme == "file" and host in ("", "localhost"):
        return Location(str(Path(unquote(parts.path) or "/")), Transport.FILE)
    if host.startswith("-") or not host or (parts.username or "").startswith("-"):
        raise InvalidInput("the address of the repository has no valid host name; correct it")
    if parts.scheme == "ssh":
        return Location(url, Transport.SSH)
    if parts.scheme == "https" or (parts.scheme == "http" and host in _THIS_MACHINE):
        return Location(url, Transport(parts.scheme), f"{parts.scheme}://{parts.netloc}/")
    if parts.scheme == "http":
        raise InvalidInput(f"http:// to {host!r} would send everything in the clear; write https://")
    raise InvalidInput(f"{parts.scheme}:// is not supported; write https://, ssh://, file:// or a path")
