"""Looks whether the secrets that definitions name are there, so that a forgotten one is said at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dct_pipelines.domain.errors import CredentialRefused
from dct_pipelines.domain.ports import SecretsPort
from dct_pipelines.engine.manage.plan import Change, Verb

_REFERENCES = frozenset({"credential", "webhook_secret", "app_token", "password", "secret"})
_READABLE = ("env:", "file:")
"""What `command:` names is not run for a look."""


def look_for_secrets(changes: Iterable[Change], secrets: SecretsPort) -> list[str]:
    """A warning for each secret of what is created or changed that cannot be read here.

    No more than a warning: the deployment may have what this shell has not.
    """
    warnings: list[str] = []
    for change in changes:
        if change.after is None or change.verb is Verb.UNCHANGED:
            continue
        for what, reference in _named(change.after):
            if not reference.startswith(_READABLE):
                continue
            try:
                secrets.read(reference)
            except CredentialRefused as error:
                warnings.append(f"{change.kind} {change.name}: its {what} cannot be read here: {error}")
    return warnings


def _named(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What each reference within a definition is for, and the reference."""
    for name, value in spec.items():
        if name == "secrets":
            yield from ((f"secret {variable}", reference) for variable, reference in value.items())
        elif isinstance(value, Mapping):
            yield from _named(value)
        elif name in _REFERENCES and value:
            yield name.replace("_", " "), value
