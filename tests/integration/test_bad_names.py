"""Hostile names, paths and messages, from the push to the notification: data all the way, never executed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dct_pipelines.domain.git_refs import HEADS, Oid
from dct_pipelines.store import tables
from tests.support.command_line import *  # noqa: F403
from tests.support.repos import SampleRepository, git
from tests.support.workshop import *  # noqa: F403
from tests.support.workshop import Workshop

pytestmark = pytest.mark.integration

TO_QA = """---
kind: environment
name: qa
repository: shop
branch: qa
deployer: {type: local, command: [sh, -c, 'printf %s "$DCT_COMMIT" > deployed']}
---
kind: draft
name: look
title: "Look at {{ event.branch }}"
repository: shop
base: qa
---
kind: trigger
name: to-qa
items: [shop]
conditions:
  - type: branch_ready
    config: {branch: "**", target_branch: qa, require_clean_merge: false}
actions:
  - type: merge_branches
    config: {repository: shop, source: "{{ event.branch }}", target: qa, message: "Take {{ event.branch }}"}
  - {type: deploy_environment, config: {environment: qa}}
  - {type: create_workspace, config: {draft: look, commit: "{{ event.head }}"}}
  - type: notify_users
    config:
      channels: [{channel: outbox}]
      subject: "{{ event.branch }} is on qa"
      text: "{{ event.branch }}"
"""
TELL = """---
kind: trigger
name: tell
items: [shop]
conditions:
  - {type: string_match, config: {pattern: BUG-7, mode: contains}}
actions:
  - type: notify_users
    config:
      channels: [{channel: outbox}]
      subject: "{{ event.branch }} by {{ event.commits.0.author.name }}"
      text: "{{ event.commits.0.message }}"
"""
NAMES = {
    "option": "feature/--upload-pack=touch pwned".replace(" ", "${IFS}"),
    "command": "feature/$(touch${IFS}pwned)",
    "semicolon": "a;touch${IFS}pwned",
    "backticks": "`touch${IFS}pwned`",
    "quotes": 'it\'s"quoted"|touch${IFS}pwned&',
    "template": "{{event.head}}{%x%}",
    "markup": "<b>&amp;</b>#{$(touch${IFS}pwned)}",
    "unicode": "feature/ünï-日本語-🎉",
    "right-to-left": "feature/\u202egnp.exe",
    "long": "/".join(["x" * 200] * 4),
}


def push(shop: SampleRepository, branch: str, files: dict[str, str | None] | None = None, **more: Any) -> Oid:
    base = shop.head("main")
    assert base
    return shop.commit(branch, files or {"new": "text\n"}, parents=[base], **more)


def told(workshop: Workshop) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in workshop.app.settings.home.glob("outbox/*.json")]


def nothing_ran(workshop: Workshop) -> bool:
    places = (workshop.folder, Path.cwd(), Path("/"))
    return not [
        *workshop.folder.rglob("pwned*"),
        *(place / "pwned" for place in places[1:] if (place / "pwned").exists()),
    ]


@pytest.mark.parametrize("branch", NAMES.values(), ids=NAMES.keys())
def test_a_hostile_branch_name_goes_through_everything_as_a_name(workshop: Workshop, branch: str):
    shop = workshop.repository()
    workshop.watch("shop", more=TO_QA)
    head = push(shop, branch)
    workshop.tick()
    [ended] = workshop.carry_out_all()
    assert (ended.status, ended.error_message) == ("completed", None)
    qa = shop.head("qa")
    assert git("rev-parse", f"{qa}^2", cwd=shop.path) == head
    assert git("log", "-1", "--format=%s", str(qa), cwd=shop.path) == f"Take {branch}"
    [message] = told(workshop)
    assert message["text"] == branch
    [workspace] = workshop.rows(tables.workspaces)
    assert Path(workspace.directory, "new").read_text() == "text\n"
    assert nothing_ran(workshop)
    story = workshop.dct("explain", "to-qa")
    assert story.code == 0
    assert "\u202e" not in story.out


def test_a_branch_called_like_an_option_is_refused_with_advice_and_stops_nobody(workshop: Workshop):
    shop = workshop.repository()
    workshop.watch("shop", more=TO_QA)
    head = push(shop, "topic")
    git("update-ref", f"{HEADS}--upload-pack=touch${{IFS}}pwned", head, cwd=shop.path)
    workshop.tick()
    one_after_the_other = [*workshop.carry_out_all(), *workshop.carry_out_all()]
    ended = {row.subject: row for row in one_after_the_other}
    assert ended[f"{HEADS}topic"].status == "completed"
    [other] = [row for subject, row in ended.items() if "upload-pack" in subject]
    assert other.status == "failed"
    assert "cannot be the name of a branch; choose another one" in other.error_message
    assert nothing_ran(workshop)


def test_a_conflict_in_a_path_with_a_newline_is_explained_on_one_line(workshop: Workshop):
    shop = workshop.repository()
    start = shop.head("main")
    assert start
    name = "a\nb\x1b[31m$(touch pwned).txt"
    shop.commit("qa", {name: "theirs\n"}, parents=[start])
    workshop.watch("shop", more=TO_QA)
    push(shop, "feature/x", {name: "ours\n"})
    workshop.tick()
    [ended] = workshop.carry_out_all()
    assert ended.status == "failed"
    assert "conflicts in a b [31m$(touch pwned).txt" in ended.error_message
    assert "\n" not in ended.error_message
    said = workshop.dct("execution", "show", str(ended.id)).out + workshop.dct("explain", "to-qa").out
    assert "\x1b[31m" not in said
    assert nothing_ran(workshop)


def test_a_conflict_in_a_path_that_is_not_utf8_is_explained(workshop: Workshop):
    shop = workshop.repository()
    start = shop.head("main")
    assert start
    for branch, content in (("qa", b"theirs\n"), ("feature/x", b"ours\n")):
        blob = git("hash-object", "-w", "--stdin", cwd=shop.path, stdin=content)
        entry = f"100644 blob {blob}\t".encode() + b"caf\xe9.txt\0"
        tree = git("mktree", "-z", cwd=shop.path, stdin=entry)
        shop.branch(branch, Oid(git("commit-tree", tree, "-p", start, "-m", "x", cwd=shop.path)))
        if branch == "qa":
            workshop.watch("shop", more=TO_QA)
    workshop.tick()
    [ended] = workshop.carry_out_all()
    assert ended.status == "failed"
    assert "conflicts in caf" in ended.error_message


MESSAGES = {
    "control characters": "BUG-7 \x1b]0;title\x07\x1b[2J\x08\r\nsecond\x7f\x9b line",
    "right-to-left": "BUG-7 \u202etxt.exe\u2066",
    "a template": "BUG-7 {{ trigger.name }} {% for x in y %} ${HOME} $(touch pwned)",
    "bytes that are no text": "BUG-7 \udcff\udcfe",
    "only of space": "BUG-7" + " \t\n" * 3000,
    "ten megabytes": "BUG-7 " + "x" * (10 * 1024 * 1024),
    "a million lines": "BUG-7\n\n" + "y\n" * 1_000_000,
}


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
def test_a_hostile_message_and_author_are_told_as_data(workshop: Workshop, message: str):
    shop = workshop.repository()
    workshop.watch("shop", more=TELL)
    push(shop, "topic", message=message, who="\x1b[31mStranger $(touch pwned); DROP TABLE <x@y.invalid>")

    assert workshop.tick().fired == 1
    [ended] = workshop.carry_out_all()
    assert (ended.status, ended.error_message) == ("completed", None)
    [notice] = told(workshop)
    assert notice["text"].startswith("BUG-7")
    assert len(notice["text"]) <= 2000
    assert "Stranger $(touch pwned); DROP TABLE" in notice["subject"]
    for said in (workshop.dct("explain", "tell").out, workshop.dct("execution", "show", str(ended.id)).out):
        assert "\x1b]" not in said
        assert "\x1b[2J" not in said
    assert json.loads(workshop.dct("explain", "tell", "--json").out)["events"]
    assert nothing_ran(workshop)


def test_a_message_behind_a_wall_of_text_is_still_found(workshop: Workshop):
    """What is stored of a message is bounded; what a condition looks for has to stand in that part."""
    shop = workshop.repository()
    workshop.watch("shop", more=TELL)
    push(shop, "topic", message="x" * 1000 + " BUG-7")

    assert workshop.tick().fired == 1
