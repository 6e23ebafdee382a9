"""Which addresses of the network a user-given host may lead to.

A name is resolved once, every address that it has is judged, and the connection goes to a judged address,
so that a second answer of the name server (DNS rebinding) changes nothing. `ipaddress.is_global` alone is not
enough: on Python 3.11 it is true for 127.0.0.1 wrapped in NAT64 or 6to4, and for multicast.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Sequence[Any]]
"""As `socket.getaddrinfo`: the last element of each answer begins with the address."""

_METADATA = frozenset(
    map(ip_address, ("169.254.169.254", "168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254"))
)
"""Where clouds serve credentials to whoever asks from the machine."""
_NAT64 = ip_network("64:ff9b::/96")
_TUNNELS = tuple(map(ip_network, ("64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96")))
"""Addresses that hide an IPv4 address: local NAT64, 6to4, Teredo, and the old IPv4-compatible form."""


def resolve(host: str, port: int) -> Sequence[Any]:
    """Ask the system; also understands forms like 127.1, hence the judging after it."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class AddressGuard:
    """Resolves and judges. `allow_private_network` is an operator's word for one definition."""

    def __init__(self, *, allow_private_network: bool = False, resolver: Resolver = resolve) -> None:
        self._allow_private = allow_private_network
        self._resolve = resolver

    def addresses(self, host: str, port: int, *, encrypted: bool) -> tuple[str, ...]:
        """Every address of the host, all allowed; `ActionFailed` when one is not."""
        try:
            answers = self._resolve(host, port)
        except UnicodeError:
            raise ActionFailed(f"{host!r} is no name of a host; correct the address") from None
        except OSError as error:
            raise ActionInterrupted(f"the name {host!r} cannot be resolved ({error.strerror})") from error
        found = tuple(dict.fromkeys(str(answer[4][0]).partition("%")[0] for answer in answers))
        if not found:
            raise ActionInterrupted(f"the name {host!r} has no address")
        for text in found:
            address = unwrapped(ip_address(text))
            if fault := self._fault(address, encrypted):
                raise ActionFailed(f"{host!r} leads to {text}, {fault}")
        return found

    def _fault(self, address: Address | None, encrypted: bool) -> str | None:
        if address is None:
            return "which hides another address in a tunnel and is refused"
        if address in _METADATA or address.is_link_local:
            return "where machines serve their own credentials; it is always refused"
        if address.is_multicast or address.is_unspecified or is_reserved(address):
            return "which is no address of a single machine"
        is_private = not address.is_global
        if is_private and not self._allow_private:
            return "a private network; an operator can set allow_private_network for it"
        if not is_private and not encrypted:
            return "a public address; use https, or TLS"
        return None


def is_reserved(address: Address) -> bool:
    """Whether nobody may use it. (IPv6 loopback counts as reserved for Python, not for us.)"""
    return address.is_reserved and not address.is_loopback


def unwrapped(address: Address) -> Address | None:
    """The address that packets really go to; None for a tunnel that hides it."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.is_loopback or address.is_unspecified:
        return address
    return None if any(address in network for network in _TUNNELS) else address
