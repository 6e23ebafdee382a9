"""What a server says back to us: our own secrets in it are cut out before anybody keeps or shows it.

Error pages of proxies and debugging servers repeat the request, its credential included; and what a provider
says goes into messages, dead letters and events.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

HIDDEN = "[secret removed]"
SHORTEST = 8
"""What is shorter would be found in innocent words, and is no secret worth the name."""


def without(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, also as they stand in a URL, in JSON or in base64."""
    for form in _longest_first(secrets):
        text = text.replace(form, HIDDEN)
    return text


def without_bytes(content: bytes, secrets: Iterable[str]) -> bytes:
    """The same for the bytes of an answer."""
    for form in _longest_first(secrets):
        content = content.replace(form.encode(), HIDDEN.encode())
    return content


def _longest_first(secrets: Iterable[str]) -> list[str]:
    forms = {form for secret in secrets for form in _forms(secret)}
    return sorted((form for form in forms if len(form) >= SHORTEST), key=len, reverse=True)


def _forms(secret: str) -> Iterator[str]:
    yield from (secret, quote(secret), quote(secret, safe=""), quote_plus(secret))
    yield json.dumps(secret)[1:-1]
    yield base64.b64encode(secret.encode()).decode().rstrip("=")
