"""Mail as a deployment has it: from a manifest over a real mailbox to what each trigger made of each mail."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from dct_pipelines.bootstrap import build
from dct_pipelines.bootstrap.app import App
from dct_pipelines.engine.manage import Wanted
from dct_pipelines.engine.manifests import read_documents
from dct_pipelines.settings import Settings
from dct_pipelines.store import tables
from tests.support.mails import HOST, PASS, raw_mail
from tests.support.repos import SampleRepository
from tests.support.servers.imap_server import Mailbox

pytestmark = pytest.mark.integration
RESULTS = f"Authentication-Results: {PASS}"
LIBRARY = """
kind: connection
name: team-mail
type: mail
base: imaps://localhost:{port}
credential: file:{secret}
allow_private_network: true
config:
  username: {user}
  ca_file: {certificate}
  authserv_id: {host}
  allowed_senders: ["@example.com"]
---
kind: item
name: requests
type: mailbox
connection: team-mail
location: INBOX
---
kind: connection
name: here
type: git
---
kind: item
name: shop
type: git_repository
connection: here
location: {folder}/shop.git
---
kind: trigger
name: merge-by-mail
items: [requests]
conditions:
  - {{type: new_message, config: {{subject: deploy}}}}
actions:
  - {{type: merge_branches, config: {{repository: shop, source: feature/x, target: qa}}}}
---
kind: trigger
name: tell
items: [requests]
conditions:
  - {{type: string_match, config: {{field: message, mode: contains, pattern: please}}}}
actions:
  - type: notify_users
    config: {{channels: [{{channel: outbox, to: [qa]}}], subject: s, text: "{{{{ event.text }}}}"}}
"""
MAILS = {
    "trusted": raw_mail(RESULTS, "Subject: deploy 1", body="please"),
    "spoofed": raw_mail(
        "Authentication-Results: other.example; dmarc=pass", RESULTS, "Subject: deploy 2", body="please"
    ),
    "stranger": raw_mail(
        f"Authentication-Results: {HOST}; dmarc=pass header.from=evil.example",
        "Subject: deploy 3",
        body="please",
        sender="Dev <stranger@evil.example>",
    ),
    "robot": raw_mail(RESULTS, "Subject: deploy 4", "Auto-Submitted: auto-replied", body="please"),
    "hidden": raw_mail(
        RESULTS, "Subject: deploy 5", "Content-Type: text/html", body='<p>no<p style="display:none">please'
    ),
}


@pytest.fixture
def app(database_settings: Settings, mailbox: Mailbox, tmp_path: Path) -> App:
    SampleRepository.create(tmp_path / "shop.git").commit("main", {"a.txt": "1\n"})
    (tmp_path / "secret").write_text(mailbox.password)
    (tmp_path / "library.yaml").write_text(
        LIBRARY.format(
            port=mailbox.server.tls_port,
            user=mailbox.user,
            certificate=mailbox.server.certificate,
            secret=tmp_path / "secret",
            host=HOST,
            folder=tmp_path,
        )
    )
    app = build(database_settings).ready()
    documents, faults = read_documents([tmp_path / "library.yaml"])
    assert faults == []
    app.manager.apply(Wanted(documents, by="local"))
    return app


def decisions(app: App) -> dict[str, dict[str, str]]:
    """By the number in a mail's subject and the trigger: what was decided."""
    d, e, t = tables.decisions, tables.events, tables.dynamic_context_triggers
    query = (
        select(e.c.payload["subject"].astext, t.c.name, d.c.outcome, d.c.ignored_because)
        .join(e, e.c.id == d.c.event_id)
        .join(t, t.c.id == d.c.trigger_id)
    )
    found: dict[str, dict[str, str]] = {}
    with app.database.connect() as connection:
        for subject, name, outcome, ignored in connection.execute(query):
            found.setdefault(subject[-1], {})[name] = ignored or outcome
    return found


def test_each_trigger_makes_of_each_mail_what_its_sender_may_start(app: App, mailbox: Mailbox) -> None:
    for raw in MAILS.values():
        mailbox.append(raw)
    assert app.listening.tick("mail").events == len(MAILS)
    assert decisions(app) == {
        "1": {"merge-by-mail": "fired", "tell": "fired"},
        "2": {"merge-by-mail": "sender_not_trusted", "tell": "fired"},
        "3": {"merge-by-mail": "sender_not_trusted", "tell": "fired"},
        "4": {"merge-by-mail": "automatic_mail", "tell": "automatic_mail"},
        "5": {"merge-by-mail": "fired"},
    }
