"""Webhooks as a deployment has them: from a manifest to a real repository, and what hosts merged for us."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, insert

from dct_pipelines.bootstrap import build
from dct_pipelines.domain.errors import DeliveryRefused
from dct_pipelines.domain.git import RepositoryRef
from dct_pipelines.domain.listener import Delivery
from dct_pipelines.domain.own_marks import mark_of, trailers_of
from dct_pipelines.domain.repository.reader import RepositoryReader
from dct_pipelines.domain.signing import sign
from dct_pipelines.engine.manage import Wanted
from dct_pipelines.engine.manifests import read_documents
from dct_pipelines.settings import Settings
from dct_pipelines.store import tables
from dct_pipelines.store.database import Database
from tests.fakes.git import FakeGit
from tests.support.hooks import ITEM, Hooked
from tests.support.repos import SampleRepository

pytestmark = pytest.mark.integration
LIBRARY = """
kind: connection
name: here
type: git
webhook_secret: file:{secret}
---
kind: item
name: shop
type: git_repository
connection: here
location: {location}
"""
EXECUTION = UUID(int=9)


def signed(told: Any, secret: str) -> Delivery:
    now, body = datetime.now(UTC), json.dumps(told).encode()
    timestamp = int(now.timestamp())
    signature = sign(secret, "m1", timestamp, body)
    headers = {"webhook-id": "m1", "webhook-timestamp": str(timestamp), "webhook-signature": signature}
    return Delivery(headers, body, now)


def test_a_git_server_of_any_kind_can_say_that_somebody_pushed(
    database_settings: Settings, tmp_path: Path
) -> None:
    repository = SampleRepository.create(tmp_path / "shop.git")
    base = repository.commit("main", {"a.txt": "1\n"})
    (tmp_path / "secret").write_text("first\n")
    (tmp_path / "library.yaml").write_text(
        LIBRARY.format(location=repository.path, secret=tmp_path / "secret")
    )
    app = build(database_settings).ready()
    documents, _ = read_documents([tmp_path / "library.yaml"])
    app.manager.apply(Wanted(documents, by="local"))
    app.listening.tick("git")
    repository.commit("feature/x", {"a.txt": "2\n"}, parents=[base])
    taken = app.webhooks.receive("here", signed({"type": "look", "item": "shop"}, "first"))
    assert (taken.because, taken.events) == ("shop is read now", 1)
    (tmp_path / "secret").write_text("renewed\n")
    with pytest.raises(DeliveryRefused):
        app.webhooks.receive("here", signed({"type": "look", "item": "shop"}, "first"))
    assert app.webhooks.receive("here", signed({"type": "look", "item": "shop"}, "renewed")).events == 0


def test_a_merge_that_a_host_made_for_us_has_its_cause_and_who_copies_its_trailers_has_not(
    database: Database,
) -> None:
    git = FakeGit()
    shop = git.repository("/srv/sample.git")
    base = shop.commit("qa", {"a.txt": "1\n"})
    there = Hooked(database, RepositoryReader(git, RepositoryRef(shop.url)), secret="s")
    there.poll()
    lines = [f"{name}: {value}" for name, value in trailers_of(EXECUTION, "merge").items()]
    message, mark = "\n".join(["Merge it", "", *lines]), mark_of(EXECUTION, "merge")
    announced = {"item_id": ITEM, "execution_id": EXECUTION, "chain": []}
    with database.begin() as connection:
        connection.execute(insert(tables.own_writes).values(external_id=mark, **announced))
    merged = shop.commit("qa", {"b.txt": "1\n"}, message, parents=[base])
    there.poll()
    with database.begin() as connection:
        connection.execute(delete(tables.own_writes))
        connection.execute(insert(tables.own_writes).values(external_id=merged, **announced))
    shop.commit("qa", {"c.txt": "1\n"}, message)
    there.poll()
    causes = [event["cause"] and event["cause"]["execution_id"] for event in there.events()]
    assert causes == [str(EXECUTION), None]
