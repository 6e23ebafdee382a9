"""A new listener, condition or action is one file with one constant, its tests, and its heading."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from dct_pipelines import registry
from dct_pipelines.domain.action import ActionType
from dct_pipelines.domain.condition import ConditionType
from dct_pipelines.domain.listener import ListenerType
from tests.architecture.tree import PACKAGE, ROOT, name_of, parsed, reference_page, sections


@dataclass(frozen=True)
class Room:
    """A plug-in folder: its constant's name and type, and where the model of its configuration is."""

    name: str
    constant: str
    contract: type[Any]
    model: Callable[[Any], type[BaseModel]]

    def files(self) -> list[Path]:
        """Every module of the room."""
        return [path for path in sorted((PACKAGE / self.name).glob("*.py")) if path.name != "__init__.py"]

    def plugins(self) -> Iterator[tuple[Path, Any]]:
        """Every module's path and constant (None when it has none)."""
        for path in self.files():
            module = importlib.import_module(f"dct_pipelines.{self.name}.{path.stem}")
            yield path, getattr(module, self.constant, None)

    def sections(self) -> dict[str, str]:
        """What the room's reference page says of each kind."""
        return sections(reference_page(self.name))


ROOMS = (
    Room("listeners", "LISTENER", ListenerType, lambda plugin: plugin.item_config),
    Room("conditions", "CONDITION", ConditionType, lambda plugin: plugin.config),
    Room("actions", "ACTION", ActionType, lambda plugin: plugin.config),
)


def every_plugin() -> Iterator[tuple[Room, Path, Any]]:
    """Room, path and constant of every plug-in."""
    return ((room, path, plugin) for room in ROOMS for path, plugin in room.plugins())


def test_a_plugin_is_one_file_with_one_constant_named_like_its_kind():
    faults = []
    for room, path, plugin in every_plugin():
        if not isinstance(plugin, room.contract):
            faults.append(f"{name_of(path)} has no {room.constant} = {room.contract.__name__}(...)")
        elif plugin.kind != path.stem:
            faults.append(f"{name_of(path)} says that its kind is {plugin.kind!r}")
        made = [ast.unparse(node.func) for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
        if made.count(room.contract.__name__) > 1:
            faults.append(f"{name_of(path)} makes more than one {room.contract.__name__}")
    faults += [
        f"{name_of(path)} is a folder"
        for room in ROOMS
        for path in (PACKAGE / room.name).iterdir()
        if path.is_dir() and path.name != "__pycache__"
    ]
    assert not faults, "\n".join(faults)


def test_the_registry_finds_every_plugin_and_nothing_else():
    for room in ROOMS:
        found = dict(getattr(registry, room.name)())
        assert found == {path.stem: plugin for path, plugin in room.plugins()}, room.name


def test_every_example_is_a_valid_configuration():
    for room, _, plugin in every_plugin():
        room.model(plugin).model_validate(dict(plugin.example))


def test_every_configuration_refuses_unknown_keys_and_cannot_be_changed():
    faults = [
        plugin.kind
        for room, _, plugin in every_plugin()
        if room.model(plugin).model_config.get("extra") != "forbid"
        or not room.model(plugin).model_config.get("frozen")
    ]
    assert not faults, faults


def mentions(kind: str) -> Iterator[str]:
    """The text of every test module that names the kind."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        text = path.read_text(encoding="utf-8")
        if path.parent.name != "architecture" and re.search(rf"\b{kind}\b", text):
            yield text


def test_every_plugin_is_tested():
    faults = [name_of(path) for _, path, plugin in every_plugin() if not any(mentions(plugin.kind))]
    assert not faults, "\n".join(faults)


def test_every_action_has_a_test_of_its_dry_run():
    faults = [
        f"{name_of(path)}: no test module that names it has a test_..._dry_run..."
        for room, path, plugin in every_plugin()
        if room.name == "actions"
        and not any(re.search(r"def test_\w*dry_run", text) for text in mentions(plugin.kind))
    ]
    assert not faults, "\n".join(faults)


def test_no_action_asks_whether_it_is_a_dry_run():
    """Its ports know; an action that branched would be tested on one path and run on the other."""
    faults = [name_of(path) for path in ROOMS[2].files() if "dry_run" in ast.dump(parsed(path))]
    assert not faults, "\n".join(faults)


def test_every_plugin_has_its_heading_in_the_reference_and_no_heading_is_left_over():
    for room in ROOMS:
        assert sorted(room.sections()) == sorted(plugin.kind for _, plugin in room.plugins()), (
            f"docs/reference/{room.name}.md"
        )


def test_the_reference_names_every_key_of_a_configuration_and_every_output():
    faults = []
    for room, _, plugin in every_plugin():
        words = {*room.model(plugin).model_fields, *getattr(plugin, "outputs", ())}
        missing = sorted(word for word in words if f"`{word}`" not in room.sections().get(plugin.kind, ""))
        if missing:
            faults.append(f"docs/reference/{room.name}.md, {plugin.kind}: {', '.join(missing)}")
    assert not faults, "\n".join(faults)


def test_the_page_says_how_often_each_kind_of_connection_is_read():
    page = (ROOT / "docs/reference/listeners.md").read_text(encoding="utf-8")
    sentence = page[page.index("is read every 5 s") : page.index("says.", page.index("is read every 5 s"))]
    said = {
        kind: int(seconds)
        for seconds, kinds in re.findall(r"(\d+) s \(([^)]*)\)", sentence)
        for kind in re.findall(r"`(\w+)`", kinds)
    }
    assert said == {kind: plugin.interval_seconds or 5 for kind, plugin in registry.listeners().items()}
