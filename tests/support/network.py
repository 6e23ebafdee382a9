"""Fixture `network`: names lead where a test says, and no connection leaves this machine.

A test module takes it by name: `from tests.support.network import *  # noqa: F403`.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

import pytest

__all__ = ["Network", "network"]


@dataclass
class Network:
    """`names` has the addresses of a name, for each time that it is asked; the last answer stays.

    `connected` are the (address, port) pairs that this process tried to connect to. What is not this machine
    is refused, so that nothing is sent to anybody.
    """

    names: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)
    connected: list[tuple[str, int]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def resolve(self, host: Any, port: Any, *more: Any, **named: Any) -> list[Any]:
        """As `socket.getaddrinfo`, without a name server."""
        name = host.decode() if isinstance(host, bytes) else host
        self.asked.append(name)
        if name in self.names:
            answers = self.names[name]
            found = answers.pop(0) if len(answers) > 1 else answers[0]
            return [answer for address in found for answer in _REAL(address, port, *more, **named)]
        if name != "localhost":
            named = {**named, "flags": socket.AI_NUMERICHOST}
            more = more[:3]
        return list(_REAL(host, port, *more, **named))


_REAL = socket.getaddrinfo
_watching: list[Network] = []


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect" or not _watching or not isinstance(arguments[1], tuple):
        return
    host, port = arguments[1][:2]
    _watching[-1].connected.append((host, port))
    if not ip_address(host.partition("%")[0]).is_loopback:
        raise ConnectionRefusedError(f"{host}:{port} is not of this machine")


sys.addaudithook(_look)


@pytest.fixture
def network() -> Iterator[Network]:
    """A network of the test's own: the machine's name server is played, and connections are counted."""
    made = Network()
    socket.getaddrinfo = made.resolve
    _watching.append(made)
    try:
        yield made
    finally:
        _watching.remove(made)
        socket.getaddrinfo = _REAL
