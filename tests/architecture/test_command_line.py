"""The command line is described, explains itself, and speaks to programs too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from dct_pipelines.cli.main import app
from tests.architecture.tree import reference_page

NO_JSON = {"dct schema"}
"""What it prints is a JSON Schema anyway."""


def commands(command: Any, path: str = "dct") -> Iterator[tuple[str, Any]]:
    """Full name and command of every command that does something itself."""
    if below := getattr(command, "commands", None):
        for name, child in below.items():
            yield from commands(child, f"{path} {name}")
    else:
        yield path, command


def options(command: Any) -> set[str]:
    """The long names of a command's options."""
    return {name for option in command.params for name in option.opts if name.startswith("--")}


EVERY = dict(commands(get_command(app)))


def test_every_command_is_described_with_its_options():
    page = reference_page("cli")
    missing = [name for name in EVERY if f"`{name}" not in page]
    missing += sorted(
        {option for command in EVERY.values() for option in options(command)} - set(page.split("`"))
    )
    assert not missing, f"docs/reference/cli.md: {', '.join(missing)}"


def test_every_command_explains_itself():
    silent = [name for name, command in EVERY.items() if not command.help]
    silent += [
        f"{name} {option.opts[0]}"
        for name, command in EVERY.items()
        for option in command.params
        if not getattr(option, "help", None)
    ]
    assert not silent, ", ".join(silent)


def test_every_command_answers_in_json_when_asked():
    assert {name for name, command in EVERY.items() if "--json" not in options(command)} == NO_JSON
