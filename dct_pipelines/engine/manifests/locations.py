"""Where an item is: its location joined to the base of its connection, and kept below it."""

from __future__ import annotations

import os.path
import re
from collections.abc import Collection
from pathlib import Path
from urllib.parse import urlsplit

_SCP = re.compile(r"^(?:[\w.+-]+@)?[\w.-]+:(?!//)")
"""`user@host:path`, as ssh writes it."""
_DOT = re.compile("%2e", re.IGNORECASE)
"""A dot as URLs may write it: HTTP libraries take `%2e%2e` for `..`."""


def is_remote(location: str) -> bool:
    """Whether it is a URL or of the form user@host:path, and not a path of this machine."""
    return "://" in location or ("/" not in location.partition(":")[0] and bool(_SCP.match(location)))


def secret_fault(location: str) -> str | None:
    """Why the URL must not be stored; None when it holds no secret."""
    if "://" not in location:
        return None
    try:
        parts = urlsplit(location)
        holds = parts.password is not None or (parts.scheme in ("http", "https") and "@" in parts.netloc)
    except ValueError as error:
        return f"this is not a URL ({error})"
    return "there is a secret in the URL; remove it and name it by `credential`" if holds else None


def base_fault(base: str, schemes: Collection[str]) -> str | None:
    """Why this is not the address of a host that begins with one of the schemes; None when it is one."""
    known = " or ".join(f"{scheme}://" for scheme in schemes)
    try:
        parts = urlsplit(base)
        is_host = bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        return f"this is not a URL ({error})"
    if parts.scheme not in schemes or not is_host:
        return f"should be a URL that begins with {known} and names a host"
    if "@" in parts.netloc:
        return "there is an account in the URL; remove it and name the secret by `credential`"
    if parts.query or parts.fragment or not base.isascii() or not base.isprintable() or " " in base:
        return "should be the address of the host only, without ?, # or characters that URLs do not have"
    return None


def absolute(location: str, folder: Path) -> str:
    """A path made absolute, from the folder that it was written in; what is remote stays."""
    if is_remote(location):
        return location.rstrip("/")
    return os.path.normpath(folder.absolute() / Path(location).expanduser())


def below(base: str, location: str) -> str | None:
    """The location joined to the base (which is absolute), or None when it lies outside of it."""
    if ".." in re.split(r"[/\\]", _DOT.sub(".", location)):
        return None
    if is_remote(base):
        prefix = base if base.endswith((":", "/")) else f"{base}/"
        if is_remote(location) or location.startswith("/"):
            return location if location.startswith(prefix) and len(location) > len(prefix) else None
        return prefix + location
    if is_remote(location):
        return None
    joined = os.path.normpath(Path(base) / Path(location).expanduser())
    return joined if joined == base or joined.startswith(base.rstrip("/") + "/") else None
