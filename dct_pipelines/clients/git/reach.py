"""Where git may be led: the host is judged before each call, and git is kept to the addresses that were.

git resolves names itself, so for http(s) the judged addresses are handed to it (`http.curloptResolve`, since
git 2.37), and a second answer of the name server changes nothing. Most git hosts stand in private networks,
which are therefore allowed; addresses at which machines serve their own credentials never are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from dct_pipelines.clients.git.locations import Location, Transport
from dct_pipelines.clients.guard import AddressGuard
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted, ConnectionDown, ItemUnreadable

_HOST = re.compile(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+")
"""A host that every program reads alike: nothing quoted, nothing percent-encoded."""
_PORTS = {Transport.HTTPS: 443, Transport.HTTP: 80, Transport.SSH: 22}
_PROXIES = ("HTTPS_PROXY", "https_proxy")


def pins(location: Location, guard: AddressGuard, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Configuration that keeps this call to judged addresses; `ItemUnreadable` when one may not be reached.

    A name that only a proxy or ssh's own configuration can resolve is left to them.
    """
    if location.transport is Transport.FILE:
        return {}
    host, port = _host_and_port(location)
    if not _HOST.fullmatch(host) or port is None:
        raise ItemUnreadable(f"{location.url} does not name a host and a port plainly; correct it")
    is_resolved_elsewhere = location.transport is Transport.SSH or any(map(environment.get, _PROXIES))
    try:
        found = guard.addresses(host, port, encrypted=location.transport is not Transport.HTTP)
    except ActionInterrupted as error:
        if is_resolved_elsewhere:
            return {}
        raise ConnectionDown(f"{location.url} could not be reached: {error}; it is tried again") from error
    except ActionFailed as error:
        raise ItemUnreadable(f"{location.url}: {error}") from error
    if location.transport is Transport.SSH or ":" in host:
        return {}
    return {"http.curloptResolve": f"{host}:{port}:{','.join(found)}"}


def _host_and_port(location: Location) -> tuple[str, int | None]:
    """Of a URL, or of user@host:path; a port is None when it is none."""
    standard = _PORTS[location.transport]
    if "://" not in location.url:
        return location.url.partition("@")[2].partition(":")[0], standard
    parts = urlsplit(location.url)
    try:
        return parts.hostname or "", standard if parts.port is None else parts.port
    except ValueError:
        return parts.hostname or "", None
