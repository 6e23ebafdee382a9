"""What our own receiving host found out about a mail's sender (RFC 8601, `Authentication-Results`).

Anybody can write that header. A host that receives for us puts its own on top of the others, under its
authserv-id; nothing but the topmost one, under the id that the operator named, is believed (sections 5, 7).
It has to speak of the very domain in `From`: DMARC passed, or a DKIM signature of that domain or of one above
it. DMARC's relaxed alignment also takes a signature of a domain below, which needs the public suffix list to
be safe (`stranger.github.io` is not `github.io`): those mails need the host's `dmarc=pass`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from dct_pipelines.domain.mail.headers import HeaderBlock, without_comments
from dct_pipelines.domain.matching import shown

HEADER = "authentication-results"
_PART = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^";])+')
_TOKEN = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^\s"])+')
_EQUALS = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t]*=[ \t]*')
_SERVER = re.compile(r'[ \t]*("(?:[^"\\]|\\.)*"|[^\s";=]+)(?:[ \t]+(\d+))?[ \t]*')


@dataclass(frozen=True)
class Result:
    """One `method=result` with its properties, all in lower case."""

    method: str
    result: str
    properties: dict[str, str] = field(default_factory=dict)

    def domain(self, *names: str) -> str | None:
        """The domain that the first of these properties names: a domain, or an address of it."""
        value = next((self.properties[name] for name in names if name in self.properties), None)
        return None if value is None else value.rpartition("@")[2].rstrip(".")


def judge_sender(headers: HeaderBlock, authserv_id: str | None, domain: str) -> tuple[bool, str]:
    """Whether our receiving host vouches for the domain in `From`, and why or why not."""
    if not authserv_id:
        return False, "nobody vouches for it: the connection names no authserv_id"
    value = next(iter(headers.all(HEADER)), None)
    if value is None:
        return False, f"nobody vouches for it: there is no Authentication-Results of {authserv_id}"
    server, results = read_results(value)
    if server != authserv_id.lower():
        said = "cannot be read" if server is None else f"is of {shown(server)}, not of {authserv_id}"
        return False, f"nobody vouches for it: the topmost Authentication-Results {said}"
    return _judge(results, domain, authserv_id)


def _judge(results: tuple[Result, ...], domain: str, host: str) -> tuple[bool, str]:
    policies = [result for result in results if result.method == "dmarc"]
    speaks_of = {result.domain("header.from") or domain for result in policies}
    if policies and speaks_of != {domain}:
        return False, f"{host} checked the domain {shown(', '.join(sorted(speaks_of)))}, not {domain}"
    found = {result.result for result in policies}
    if found == {"pass"}:
        return True, f"{host} vouches for {domain} (dmarc=pass)"
    if found - {"none"}:
        return False, f"{host} does not vouch for {domain} (dmarc={shown(', '.join(sorted(found)))})"
    for result in results:
        signed = result.domain("header.d", "header.i")
        if result.method == "dkim" and result.result == "pass" and signed and is_aligned(signed, domain):
            return True, f"{host} vouches for {domain} (dkim=pass of {signed})"
    return False, f"{host} does not vouch for {domain}: neither dmarc=pass nor a dkim=pass of that domain"


def is_aligned(signed: str, domain: str) -> bool:
    """Whether the signing domain is that of `From`, or above it and not a top-level domain."""
    return signed == domain or ("." in signed and domain.endswith(f".{signed}"))


def read_results(value: str) -> tuple[str | None, tuple[Result, ...]]:
    """The authserv-id in lower case and the results; (None, ()) when the header is not well formed."""
    bare = without_comments(value)
    if bare is None:
        return None, ()
    parts = _PART.findall(bare)
    server = _SERVER.fullmatch(parts[0]) if parts else None
    if server is None or (server[2] or "1") != "1":
        return None, ()
    return _unquoted(server[1]).lower(), tuple(_results(parts[1:]))


def _results(parts: list[str]) -> Iterator[Result]:
    for part in parts:
        # Tokens are split before they are looked into: a value in quotes may hold what looks like another.
        method, *rest = _TOKEN.findall(_EQUALS.sub(lambda match: match[1] or "=", part)) or [""]
        name, is_result, result = method.partition("=")
        properties: dict[str, str] = {}
        for token in rest:
            key, is_property, value = token.partition("=")
            if is_property:
                properties.setdefault(key.lower(), _unquoted(value).lower())
        if is_result:
            yield Result(name.partition("/")[0].strip().lower(), result.lower(), properties)


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1]) if text.startswith('"') else text
