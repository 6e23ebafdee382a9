"""The parts of the `dct` command, each loaded when it is called, so that nobody waits for the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pkgutil import resolve_name
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

MODULES: Mapping[str, str] = {
    "up": "up:up",
    "demo": "demo.command:demo",
    "apply": "apply:apply",
    "status": "status:status",
    "explain": "explain:explain",
    "schema": "schema:schema",
    "trigger": "triggers:app",
    "execution": "executions:app",
    "connection": "connections:app",
    "item": "definitions:APPS",
    "environment": "definitions:APPS",
    "suite": "definitions:APPS",
    "channel": "definitions:APPS",
    "draft": "definitions:APPS",
    "quota": "quota:app",
    "alert": "alerts:app",
    "user": "users:app",
    "metrics": "metrics:app",
    "trace": "trace:app",
    "db": "database:app",
    "backup": "backup:backup",
    "restore": "restore:app",
    "doctor": "doctor:doctor",
    "maintenance": "maintenance:app",
    "listener": "up:listener",
    "listen": "listen:app",
    "engine": "up:engine",
    "monitor": "up:monitor",
}
"""In the order of `dct --help`: a module of this room, and there a function, a group, or groups by name."""


class Parts(TyperGroup):
    """The group of all parts."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given | {"commands": Loaded()})


class Loaded(Mapping[str, Any]):
    """The commands by their names, each made when it is first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _make(name, MODULES[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(MODULES)

    def __len__(self) -> int:
        return len(MODULES)


def _make(name: str, place: str) -> Any:
    """As typer makes a command or group that is added to another one."""
    part = resolve_name(f"dct_pipelines.cli.{place}")
    group = typer.Typer()
    if isinstance(part, Mapping):
        part = part[name]
    if isinstance(part, typer.Typer):
        group.add_typer(part, name=name)
    else:
        group.command(name)(part)
    return get_group(group).commands[name]
