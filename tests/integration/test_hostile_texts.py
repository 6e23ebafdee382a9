"""Hostile texts in every action: nothing is executed, filled in twice, or takes a part it was not given.

Every text of every action's configuration is replaced by each hostile one, one after the other: what a
branch, a ticket's title or a message could bring there. A new action is covered by its example.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dct_pipelines import registry
from dct_pipelines.domain.action import ActionType
from dct_pipelines.domain.errors import LONGEST_LINE, DctError
from dct_pipelines.domain.template import render_config
from tests.fakes.ports import EXECUTION
from tests.support.yard import Yard, yard

pytestmark = pytest.mark.integration

MARK = "c4n4ry"
RUN = f"touch${{IFS}}{MARK}"
# Halves of characters cannot come here: what is stored has none, and actions are fed from what is stored.
TEXTS = {
    "command": f"$({RUN})`{RUN}`;{RUN}|{RUN}&",
    "option": f"--upload-pack={RUN}",
    "ssh option": f"-oProxyCommand={RUN}",
    "branch": f"feature/$({RUN})",
    "template": "{{ execution.id }}{{execution.idempotency_key}}{% raw %}${HOME}#{1}",
    "headers": f"x\r\nBcc: all@example.org\r\n\r\n{MARK}\n.\nQUIT\n",
    "terminal": f"\x1b]0;{MARK}\x07\x1b[2J\x9b31m\u202e{MARK}\u2066",
    "path": f"../../../../{MARK}",
    "absolute path": f"/tmp/{MARK}",
    "mentions": f"<!channel> <@U1> @here [~admin] {{code}} h1. [x|http://x.example] !x.png! {MARK}",
    "nul": f"a\0{MARK}",
    "long": f"{MARK} " + "x" * 100_000,
    "empty": "",
    "spaces": " \t\n\u200b ",
}
UNSEEN = "\x00\x07\x1b\r\n\u202e\u2066\x9b"
ACTIONS = registry.actions()


class Known(dict[str, Any]):
    """Whatever an example names: a commit where a commit belongs, else something that exists."""

    def __init__(self, yard: Yard, name: str = "") -> None:
        super().__init__()
        self.yard, self.name = yard, name

    def __contains__(self, _name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> Any:
        known = {
            "branch": "feature/pay",
            "source": "feature/pay",
            "commit": self.yard.head,
            "head": self.yard.head,
            "environment": "qa",
            "workspace_id": self.yard.workspace,
            "key": "PAY-7",
            "about": "PAY-7",
        }
        nested = name in ("event", "item", "trigger", "execution", "steps", "ticket") or self.name == "steps"
        return Known(self.yard, name) if nested else known.get(name, "something")


def leaves(config: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The place of every text."""
    if isinstance(config, str):
        yield path
    for key, value in config.items() if isinstance(config, Mapping) else []:
        yield from leaves(value, (*path, key))
    for index, value in enumerate(config) if isinstance(config, list) else []:
        yield from leaves(value, (*path, index))


def with_text(config: Any, path: tuple[str | int, ...], text: str) -> Any:
    changed = copy.deepcopy(config)
    here = changed
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = text
    return changed


def whole(action: ActionType[Any], yard: Yard) -> dict[str, Any]:
    """The action's example filled in, and every other text that it can have."""
    config = render_config(dict(action.example), Known(yard))
    filled: dict[str, Any] = action.config.model_validate(config).model_dump(mode="json")
    return {name: value for name, value in filled.items() if value is not None}


def carried_out(yard: Yard, action: ActionType[Any], config: Mapping[str, Any]) -> list[str]:
    """What is said of it: the summary and texts of its outcome, or why it could not be done."""
    try:
        outcome = yard.act(action, config)
    except DctError as error:
        return [str(error)]
    return [outcome.summary, *(link.title for link in outcome.links)]


def configs(action: ActionType[Any], yard: Yard, text: str) -> Iterator[dict[str, Any]]:
    """The action with this text at each place where it may stand."""
    config = whole(action, yard)
    for path in leaves(config):
        changed = with_text(config, path, text)
        try:
            action.config.model_validate(changed)
        except ValueError:
            continue
        yield changed


def started_by(text: str, yard: Yard) -> list[str]:
    """Arguments of commands that a text from outside has become, and that are read as options."""
    found = []
    for command in yard.processes.commands:
        before = ""
        for word in command.argv:
            if text and word.startswith(text) and text.startswith("-") and before != "--end-of-options":
                found.append(word)
            before = word
    return found


@pytest.mark.parametrize("kind", ACTIONS)
def test_a_text_from_outside_stays_a_text(kind: str, tmp_path: Path):
    with yard(tmp_path) as world:
        for name, text in TEXTS.items():
            said = []
            for config in configs(ACTIONS[kind], world, text):
                said += carried_out(world, ACTIONS[kind], config)
            assert not [path for path in tmp_path.rglob(MARK) if path.name == MARK], name
            assert not Path(MARK).exists(), name
            assert not Path("/tmp", MARK).exists(), name
            assert started_by(text, world) == [], name
            assert str(EXECUTION) not in "\n".join([*said, *world.log]), name
            for line in said:
                assert not [char for char in line if char in UNSEEN], f"{name}: {line[:300]!r}"
                assert len(line) <= LONGEST_LINE, name


def told(world: Yard) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted((world.home / "outbox").glob("*.json"))]


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_whoever_is_told_reads_the_text_itself(text: str, tmp_path: Path):
    to = {"outbox": ["team"], "hook": [], "mail": ["qa@example.org"]}
    config = {
        "channels": [{"channel": name, "to": receivers} for name, receivers in to.items()],
        "subject": "{{ event.ticket.title }}",
        "text": "{{ event.ticket.title }}",
    }
    with yard(tmp_path) as world:
        rendered = render_config(config, {"event": {"ticket": {"title": text}}})
        world.act(ACTIONS["notify_users"], rendered)
        [noted], [posted], [mail] = told(world), world.hook.requests, world.mail.mails
        assert noted["text"] == text
        assert json.loads(posted.body)["text"] == text
        assert [name for name in mail if name.lower() in ("bcc", "cc")] == []
        assert mail["To"] == "qa@example.org"
        assert len(mail.get_all("Subject", [])) == 1
        assert mail.get_content().replace("\r\n", "\n").splitlines() == (text.splitlines() or [""])
