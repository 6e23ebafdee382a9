"""Who a mail says it is from: one address, or nobody.

RFC 5322 lets one write `boss@example.com <stranger@example.net>`, groups, lists, comments in addresses, and
quoted local parts with `@` in them; receivers and mail programs read these in different ways. Only three
plain forms count: `address`, `address (name)` and `name <address>`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.utils import parseaddr
from unicodedata import normalize

from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.mail.headers import HeaderBlock, decoded_words
from dct_pipelines.domain.sanitize import without_hidden

LONGEST_NAME = 200
LONGEST_FROM = 2_000
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~.-]{{1,64}}@{_LABEL}(?:\.{_LABEL}){{0,20}}"
_BARE = re.compile(rf"({_ADDRESS})(?:[ \t]+\(([^()\\@<>]*)\))?")
_NAMED = re.compile(rf'(?:"((?:[^"\\]|\\.)*)"|([^"<>@,;:()\\]*))[ \t]*<({_ADDRESS})>')


@dataclass(frozen=True)
class Sender:
    """`address` in lower case; None when `fault` says why none can be relied on. `person` is for people."""

    person: Person
    address: str | None
    fault: str | None = None

    @property
    def domain(self) -> str:
        """What is behind the `@`."""
        return (self.address or "").rpartition("@")[2]

    def is_in(self, allowed: tuple[str, ...]) -> bool:
        """Whether the address, or `@` and its very domain, is listed."""
        listed = {entry.lower() for entry in allowed}
        return self.address is not None and bool({self.address, f"@{self.domain}"} & listed)


def sender_of(headers: HeaderBlock) -> Sender:
    """Read the one `From` header."""
    values = headers.all("from")
    value = values[0] if values else ""
    name, address = _plain(value)
    fault = headers.fault
    if len(values) != 1:
        fault = "it has no From header" if not values else f"it has {len(values)} From headers"
    elif address is None:
        fault = "its From header is not of the form `name <address>`"
    if fault is None:
        return Sender(_person(name, address), address)
    return Sender(_person(*((name, address) if address else _guessed(value))), None, fault)


def _plain(value: str) -> tuple[str, str | None]:
    if len(value) > LONGEST_FROM:
        return "", None
    if match := _BARE.fullmatch(value):
        return match[2] or "", match[1].lower()
    if match := _NAMED.fullmatch(value):
        name = match[2] if match[1] is None else re.sub(r"\\(.)", r"\1", match[1])
        return name, match[3].lower()
    return "", None


def _guessed(value: str) -> tuple[str, str | None]:
    """For people to read, never for a decision. Comments nest; what nests deep is not read."""
    if value.count("(") > 10 or len(value) > LONGEST_FROM:
        return "", None
    name, address = parseaddr(value)
    return name, without_hidden(address)[:LONGEST_NAME].lower() or None


def _person(name: str, address: str | None) -> Person:
    """A name that looks like an address would be taken for one, by people and by conditions."""
    shown = decoded_words(name)[:LONGEST_NAME]
    looks_like_one = "@" in normalize("NFKC", shown)
    return Person(name=None if looks_like_one or not shown else shown, email=address)
