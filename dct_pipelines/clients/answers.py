"""What clients make of a provider's answers: checked shapes, dead letters, and refusals in our words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dct_pipelines.clients.api import ApiRefusal
from dct_pipelines.domain.errors import ActionFailed, ConnectionDown, ItemUnreadable, PayloadUnreadable
from dct_pipelines.domain.listener import DeadLetter

LONGEST_RAW = 100_000
S = TypeVar("S", bound=BaseModel)


def parsed(shape: type[S], body: Any, what: str) -> S:
    """The answer in its shape; `ConnectionDown` when it is something else than what was asked for."""
    try:
        return shape.model_validate(body)
    except ValidationError as error:
        raise ConnectionDown(f"{what}: {_fault(error)}; it is tried again") from error


def listed(body: Any, what: str) -> list[Any]:
    """The elements of an answer that has to be a list."""
    if not isinstance(body, list):
        raise ConnectionDown(f"{what}: the answer is no list; it is tried again")
    return body


def sorted_out(shape: type[S], elements: list[Any], what: str) -> tuple[list[S], list[DeadLetter]]:
    """The elements that have their shape, and a letter for each that has not."""
    understood: list[S] = []
    letters: list[DeadLetter] = []
    for element in elements:
        try:
            understood.append(shape.model_validate(element))
        except ValidationError as error:
            letters.append(letter_of(element, f"{what}: {_fault(error)}"))
    return understood, letters


def understood(shape: type[S], body: Any, what: str, letters: list[DeadLetter]) -> S:
    """One thing in its shape; `PayloadUnreadable` when it has not, with a letter: its siblings go on."""
    if not isinstance(body, dict):
        raise ConnectionDown(f"{what}: the answer is no object; it is tried again")
    found, unread = sorted_out(shape, [body], what)
    if not found:
        letters.extend(unread)
        raise PayloadUnreadable(unread[0].why)
    return found[0]


def letter_of(element: Any, why: str) -> DeadLetter:
    """Something that was not understood, kept raw; the same again has the same key."""
    raw = json.dumps(element, ensure_ascii=False, sort_keys=True)
    digest = hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return DeadLetter(key=digest, raw=raw[:LONGEST_RAW], why=why)


def _fault(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, first["loc"])) or "the answer"
    return f"{where} is not as documented ({first['msg']})"


@contextmanager
def refused_action(what: str) -> Iterator[None]:
    """For an action a refusal is final: it says what was refused and why."""
    try:
        yield
    except ApiRefusal as refusal:
        hint = _HINTS.get(refusal.status, "")
        raise ActionFailed(f"{what}: {refusal.message}{hint}") from refusal


@contextmanager
def refused_item(what: str) -> Iterator[None]:
    """For a read a refusal concerns the item: it is missing, or we may not see it."""
    try:
        yield
    except ApiRefusal as refusal:
        hint = _HINTS.get(refusal.status, "")
        raise ItemUnreadable(f"{what} cannot be read: {refusal.message}{hint}") from refusal


_HINTS = {
    403: "; the credential's owner may not do that",
    404: "; it does not exist, or the credential's owner may not see it",
}
