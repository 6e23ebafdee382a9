"""Secrets of every kind of reference are used, and then looked for wherever we write. None may be found.

The providers are hostile: they repeat the credential in every answer, as words, ids, data and headers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import insert, update

from dct_pipelines.domain.shapes import job_name
from dct_pipelines.store import tables
from tests.support.command_line import *  # noqa: F403
from tests.support.echo import Echo, EchoingImap, echo, echoing_imap
from tests.support.leaks import Search, everything_logged
from tests.support.workshop import *  # noqa: F403
from tests.support.workshop import Workshop

pytestmark = pytest.mark.integration

SECRETS = {
    "jira": "jAQ3rT/+marked-jira=Zx9",
    "slack": "xoxb-77-marked/slack+Kq2",
    "github": "ghp-marked+github/Wm4=",
    "gitlab": "glp-marked+gitlab/Bv8=",
    "gitea": "gta-marked+gitea/Dd3==",
    "mail": "m4il-marked/+secret=Lp6",
    "deploy": "d3ploy-marked/+secret=Nn1",
    "hook": "h00k-marked/+secret=Rr7",
}
MANIFESTS = """
kind: connection
name: jira
type: jira
base: {url}
allow_private_network: true
credential: env:MARKED_JIRA
webhook_secret: env:MARKED_HOOK
config: {{deployment: data_center, username: dct@example.org}}
---
kind: item
name: tickets
type: jira_query
connection: jira
location: project = SHOP
---
kind: connection
name: slack
type: slack
base: {url}
allow_private_network: true
credential: file:{folder}/secrets/slack
---
kind: item
name: talk
type: slack_channel
connection: slack
location: "#qa"
---
kind: connection
name: github
type: github
base: {url}
allow_private_network: true
credential: "command:cat {folder}/secrets/github"
---
kind: item
name: forge
type: git_repository
connection: github
location: acme/shop
---
kind: connection
name: gitlab
type: gitlab
base: {url}
allow_private_network: true
credential: env:MARKED_GITLAB
---
kind: item
name: lab
type: git_repository
connection: gitlab
location: acme/shop
---
kind: connection
name: gitea
type: gitea
base: {url}
allow_private_network: true
credential: env:MARKED_GITEA
---
kind: item
name: tea
type: git_repository
connection: gitea
location: acme/shop
---
kind: connection
name: mail
type: mail
base: imap://127.0.0.1:{imap}
allow_private_network: true
credential: env:MARKED_MAIL
config: {{username: dct@example.org}}
---
kind: item
name: inbox
type: mailbox
connection: mail
location: INBOX
---
kind: connection
name: local
type: git
base: repositories
---
kind: item
name: shop
type: git_repository
connection: local
location: shop.git
---
kind: channel
name: team
type: slack
connection: slack
receivers: ["*"]
---
kind: channel
name: hook
type: webhook
url: {url}/hook
secret: env:MARKED_HOOK
allow_private_network: true
---
kind: environment
name: qa
repository: shop
branch: qa
deployer:
  type: local
  command: [sh, -c, 'test -n "$TOKEN" && env | grep -v ^TOKEN= > environ.txt']
  secrets: {{TOKEN: env:MARKED_DEPLOY}}
"""
KINDS = ("jira", "slack", "github", "gitlab", "gitea", "mail", "git")
TOLD = {"channels": [{"channel": "team", "to": ["#qa"]}], "subject": "s", "text": "t"}
HOOKED = {"channels": [{"channel": "hook"}], "subject": "s", "text": "t"}
PULL = {"repository": "forge", "source": "a", "target": "b"}
ACTIONS: list[tuple[str, dict[str, Any]]] = [
    ("update_ticket", {"connection": "jira", "ticket": "SHOP-1", "comment": "c", "transition": "Done"}),
    ("notify_users", TOLD),
    ("notify_users", HOOKED),
    ("create_pull_request", PULL),
    ("create_pull_request", {**PULL, "repository": "lab"}),
    ("create_pull_request", {**PULL, "repository": "tea"}),
    ("deploy_environment", {"environment": "qa"}),
]


@pytest.fixture
def provider() -> Iterator[Echo]:
    with echo() as server:
        yield server


@pytest.fixture
def imap() -> Iterator[EchoingImap]:
    with echoing_imap() as server:
        yield server


def defined(
    workshop: Workshop, provider: Echo, imap: EchoingImap, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The connections above, each with its secret where its reference says; gives what was said meanwhile.

    What a provider refuses is not stored, so they are stored while all are away.
    """
    kept = workshop.folder / "secrets"
    kept.mkdir()
    for name, secret in SECRETS.items():
        (kept / name).write_text(secret + "\n")
        (kept / name).chmod(0o600)
        monkeypatch.setenv(f"MARKED_{name.upper()}", secret)
    workshop.repository()
    with workshop.app.database.begin() as connection:
        for kind in sorted({kind for kind, _ in ACTIONS}):
            connection.execute(insert(tables.shapes).values(job_name=job_name((kind,)), actions=[kind]))
    manifests = MANIFESTS.format(url=provider.url, folder=workshop.folder, imap=imap.port)
    refused = workshop.apply(manifests)
    assert refused.code == 2, "the providers were not asked"
    provider.status, imap.is_away = 500, True
    stored = workshop.apply(manifests)
    assert stored.code == 0, stored.err
    imap.is_away = False
    return {"apply": refused.out + refused.err + stored.out + stored.err}


def listened(workshop: Workshop) -> None:
    """A tick of every listener, however its breaker stands."""
    for kind in KINDS:
        with workshop.app.database.begin() as connection:
            values = {"next_due_at": None, "not_before": None, "health": "ok"}
            connection.execute(update(tables.connections).values(**values))
            connection.execute(tables.call_budgets.delete())
        workshop.app.listening.tick(kind)


def acted(workshop: Workshop) -> None:
    """An execution of each action by itself, carried out now."""
    with workshop.app.database.begin() as connection:
        connection.execute(tables.call_budgets.delete())
        for kind, config in ACTIONS:
            made = {
                "triggered_by": "manual",
                "created_by": "local",
                "job_name": job_name((kind,)),
                "actions": [{"type": kind, "name": kind, "config": config}],
                "resource_limits": {},
                "context_snapshot": {},
            }
            connection.execute(insert(tables.trigger_executions).values(**made))
    assert len(workshop.carry_out_all()) >= len(ACTIONS)


def asked(workshop: Workshop, said: dict[str, str]) -> None:
    """What the command line tells of all this."""
    commands = [["connection", command, "--json"] for command in ("list", "export")]
    commands += [["connection", "list"], ["status"], ["status", "--json"], ["execution", "list", "--json"]]
    for kind in KINDS[:-1]:
        commands += [["connection", command, kind] for command in ("show", "check", "letters")]
        commands += [["connection", "letters", kind, "--json"], ["connection", "show", kind, "--json"]]
    for execution in workshop.dct("execution", "list", "--json").data:
        commands += [["execution", "show", execution["id"]]]
    for command in commands:
        answer = workshop.dct(*command)
        said["dct " + " ".join(command)] = answer.out + answer.err


def test_no_secret_is_written_down_anywhere_whatever_providers_answer(
    workshop: Workshop, provider: Echo, imap: EchoingImap, database_url: str, monkeypatch: pytest.MonkeyPatch
):
    search = Search(SECRETS)
    with everything_logged() as lines:
        search.said |= defined(workshop, provider, imap, monkeypatch)
        for status in (401, 403, 422, 200):
            provider.status = status
            listened(workshop)
            acted(workshop)
        asked(workshop, search.said)
        leaks = search.in_processes()
    search.said |= {"the log": "\n".join(lines), "the runs": "\n".join(workshop.log)}
    leaks += search.in_what_was_said() + search.in_database(database_url)
    secrets = tuple((workshop.folder / "secrets").iterdir())
    leaks += search.in_files(workshop.folder, but=secrets)
    assert leaks == []
    for name in ("jira", "slack", "github", "gitlab", "gitea"):
        assert any(SECRETS[name] in heard for heard in provider.heard), f"{name} was never asked"
    assert list(workshop.folder.rglob("environ.txt")), "nothing was deployed"
