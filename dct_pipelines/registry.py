"""Finds the plug-ins: every module of `listeners`, `conditions` and `actions` with its one constant.

A new plug-in is one file; nothing has to be listed anywhere. Installed packages bring more: a module with the
constant, named by an entry point of `dct_pipelines.listeners`, `.conditions` or `.actions`. One that is no
good is left out, and the log says whose it is. Found once per process, on first use.
"""

from __future__ import annotations

import difflib
import importlib
import logging
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

import dct_pipelines.actions
import dct_pipelines.conditions
import dct_pipelines.listeners
from dct_pipelines.domain.errors import NotFound

if TYPE_CHECKING:
    from dct_pipelines.domain.action import ActionType
    from dct_pipelines.domain.condition import ConditionType
    from dct_pipelines.domain.listener import ListenerType

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Room:
    """A folder of plug-ins, whose name is also that of the entry points, with its constant and its type.

    The type is named, and loaded with the plug-ins: who asks for conditions does not load what actions touch.
    """

    package: ModuleType
    constant: str
    contract: str

    def plugins(self) -> Mapping[str, Any]:
        """Every plug-in by its kind: ours, then those of installed packages, by the packages' names."""
        found = {}
        for module in pkgutil.iter_modules(self.package.__path__, self.package.__name__ + "."):
            plugin = getattr(importlib.import_module(module.name), self.constant, None)
            if plugin is not None:
                found[plugin.kind] = plugin
        for entry in sorted(entry_points(group=self.package.__name__), key=_package_of):
            plugin, fault = self._installed(entry, found)
            if fault is None:
                found[plugin.kind] = plugin
            else:
                said = "the plug-in %s of package %s is left out: %s; correct or uninstall that package"
                log.error(said, entry.value, _package_of(entry), fault)
        return MappingProxyType(found)

    def _installed(self, entry: EntryPoint, known: Mapping[str, Any]) -> tuple[Any, str | None]:
        """The plug-in, and what is wrong with it."""
        try:
            plugin = getattr(entry.load(), self.constant, None)
        except Exception as error:  # noqa: BLE001 - whatever another's module raises, the others work
            return None, f"it cannot be loaded ({error!r})"
        contract = pkgutil.resolve_name(self.contract)
        if not isinstance(plugin, contract):
            return None, f"it has no {self.constant} = {contract.__name__}(...)"
        if plugin.kind in known:
            return None, f"the kind {plugin.kind!r} is there already"
        return plugin, None


CONDITIONS = Room(dct_pipelines.conditions, "CONDITION", "dct_pipelines.domain.condition:ConditionType")
ACTIONS = Room(dct_pipelines.actions, "ACTION", "dct_pipelines.domain.action:ActionType")
LISTENERS = Room(dct_pipelines.listeners, "LISTENER", "dct_pipelines.domain.listener:ListenerType")


def _package_of(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "of no name"


@cache
def conditions() -> Mapping[str, ConditionType[Any]]:
    """Every condition type by its kind."""
    return CONDITIONS.plugins()


@cache
def actions() -> Mapping[str, ActionType[Any]]:
    """Every action type by its kind."""
    return ACTIONS.plugins()


@cache
def listeners() -> Mapping[str, ListenerType[Any]]:
    """Every listener by the kind of connection it reads."""
    return LISTENERS.plugins()


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
