"""What a server says back to us: our own secrets in it are cut out before anybody keeps or shows it.

Error pages of proxies and debugging servers repeat the request, its credential included; and what a provider
says goes into messages, dead letters and events.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator
from functools import partial
from urllib.parse import quote, quote_plus

HIDDEN = "[secret removed]"
SHORTEST = 8
"""What is shorter would be found in innocent words, and is no secret worth the name."""
_BITS_PER_BYTE, _BITS_PER_DIGIT = 8, 6
_WORD = re.compile("[A-Za-z0-9+/_-]+=*")
"""Digits of base64, of both alphabets. Each begins where the one before ended: linear in the text."""


def without(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, also as they stand in a URL, in JSON, or with more around in base64."""
    for secret in secrets:
        plain = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
        for form in sorted(plain, key=len, reverse=True):
            if len(form) >= SHORTEST:
                text = text.replace(form, HIDDEN)
        cores = tuple(_cores(secret))
        if any(core in text for core in cores):
            text = _WORD.sub(partial(_hidden, cores), text)
    return text


def without_bytes(content: bytes, secrets: Iterable[str]) -> bytes:
    """The same for the bytes of an answer."""
    return without(content.decode("utf-8", "surrogateescape"), secrets).encode("utf-8", "surrogateescape")


def _hidden(cores: tuple[str, ...], word: re.Match[str]) -> str:
    return HIDDEN if any(core in word[0] for core in cores) else word[0]


def _cores(secret: str) -> Iterator[str]:
    """The digits of base64 that are the secret's alone, wherever in a longer text it begins."""
    raw = secret.encode()
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw).decode()
        first = -(-offset * _BITS_PER_BYTE // _BITS_PER_DIGIT)
        core = encoded[first : (offset + len(raw)) * _BITS_PER_BYTE // _BITS_PER_DIGIT]
        if len(core) >= SHORTEST:
            yield from {core, core.replace("+", "-").replace("/", "_")}
