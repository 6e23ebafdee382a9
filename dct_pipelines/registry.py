"""Finds the plug-ins: every module of `listeners`, `conditions` and `actions` with its one constant.

A new plug-in is one file; nothing has to be listed anywhere. Found once per process, on first use.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Any

import dct_pipelines.actions
import dct_pipelines.conditions
import dct_pipelines.listeners
from dct_pipelines.domain.action import ActionType
from dct_pipelines.domain.condition import ConditionType
from dct_pipelines.domain.errors import NotFound
from dct_pipelines.domain.listener import ListenerType


def _find(package: ModuleType, constant: str) -> dict[str, Any]:
    found = {}
    for module in pkgutil.iter_modules(package.__path__, package.__name__ + "."):
        plugin = getattr(importlib.import_module(module.name), constant, None)
        if plugin is not None:
            found[plugin.kind] = plugin
    return found


@cache
def conditions() -> Mapping[str, ConditionType[Any]]:
    """Every condition type by its kind."""
    return MappingProxyType(_find(dct_pipelines.conditions, "CONDITION"))


@cache
def actions() -> Mapping[str, ActionType[Any]]:
    """Every action type by its kind."""
    return MappingProxyType(_find(dct_pipelines.actions, "ACTION"))


@cache
def listeners() -> Mapping[str, ListenerType[Any]]:
    """Every listener by the kind of connection it reads."""
    return MappingProxyType(_find(dct_pipelines.listeners, "LISTENER"))


def base_of(kind: str, config: Mapping[str, Any]) -> str:
    """Where a connection leads: what it says, else where its provider is; empty when neither is known."""
    known = listeners().get(kind)
    return str(config.get("base") or (known.default_base if known is not None else None) or "")


def nearest(name: str, valid: Mapping[str, Any] | frozenset[str]) -> str:
    """A clause that names the nearest valid name, and all of them when they are few."""
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    known = f"known: {', '.join(sorted(valid)) or 'none'}" if len(valid) <= 20 else f"{len(valid)} are known"
    return f"did you mean {close[0]!r}? ({known})" if close else known


def condition(kind: str) -> ConditionType[Any]:
    """The condition type, or NotFound with the nearest name."""
    if kind not in conditions():
        raise NotFound(f"there is no condition {kind!r}; {nearest(kind, conditions())}")
    return conditions()[kind]


def action(kind: str) -> ActionType[Any]:
    """The action type, or NotFound with the nearest name."""
    if kind not in actions():
        raise NotFound(f"there is no action {kind!r}; {nearest(kind, actions())}")
    return actions()[kind]


def listener(kind: str) -> ListenerType[Any]:
    """The listener, or NotFound with the nearest name."""
    if kind not in listeners():
        raise NotFound(f"there is no listener {kind!r}; {nearest(kind, listeners())}")
    return listeners()[kind]
