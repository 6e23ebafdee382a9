"""Saved versions of triggers made ready to be decided on, and which of them this release cannot read."""

from __future__ import annotations

import logging
from collections.abc import Collection
from uuid import UUID

from dct_pipelines.domain.compiled import CompiledTrigger, ConditionTypes, compile_trigger
from dct_pipelines.domain.errors import InvalidInput
from dct_pipelines.store import deciding, explaining
from dct_pipelines.store.database import Connection
from dct_pipelines.store.deciding import VersionKey

log = logging.getLogger(__name__)


def compile_versions(
    connection: Connection, keys: Collection[VersionKey], types: ConditionTypes
) -> tuple[dict[VersionKey, CompiledTrigger], dict[UUID, str]]:
    """These versions, and why others of them cannot be read: one such must not keep the others from working.

    The second are by their trigger.
    """
    compiled: dict[VersionKey, CompiledTrigger] = {}
    broken: dict[UUID, str] = {}
    for saved in deciding.load_versions(connection, keys):
        try:
            version = compile_trigger(deciding.to_version(saved), types)
        except InvalidInput as error:
            log.error("trigger %s cannot work as saved: %s", saved.trigger_id, error)
            broken[saved.trigger_id] = str(error)
        else:
            compiled[(saved.trigger_id, saved.version)] = version
    return compiled, broken


def broken_triggers(connection: Connection, types: ConditionTypes) -> dict[str, str]:
    """Triggers that are not valid in this release, by name, and why."""
    _, broken = compile_versions(connection, deciding.current_versions(connection), types)
    return explaining.names_of(connection, broken)
