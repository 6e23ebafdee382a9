"""Answers about what is defined: export, look-ups by name, checks, the library of actions."""

from __future__ import annotations

import pytest

from dct_pipelines.domain.errors import ItemUnreadable, NotFound
from dct_pipelines.domain.words import Kind
from dct_pipelines.engine.manage import Verb, Wanted
from dct_pipelines.engine.manifests import Document
from dct_pipelines.store.database import Database
from dct_pipelines.store.library import Library
from tests.fakes.ports import FakeSecrets
from tests.support.desk import LIBRARY, TRIGGER, Desk, desk_on, verbs

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database: Database) -> Desk:
    return desk_on(database)


def test_what_is_exported_applies_as_unchanged(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    for kind in Kind:
        documents = [Document("exported", data) for data in desk.catalog.export(kind)]
        report = desk.manager.apply(Wanted(documents, "local"))
        assert set(verbs(report).values()) <= {Verb.UNCHANGED}, kind


def test_a_name_that_is_not_there_is_answered_with_the_nearest(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    with pytest.raises(NotFound, match="did you mean 'ready'"):
        desk.manager.delete(["redy"], "local")
    with pytest.raises(NotFound, match="did you mean 'app'"):
        desk.catalog.show(Kind.ITEM, "apps")


def test_checking_a_connection_looks_at_each_of_its_items(desk: Desk):
    desk.apply(LIBRARY)
    assert [(look.item, look.is_ok) for look in desk.catalog.check_connection("local")] == [("app", True)]
    desk.outside.error = ItemUnreadable("gone")
    assert [(look.is_ok, look.said) for look in desk.catalog.check_connection("local")] == [(False, "gone")]


def test_the_library_gives_actions_what_was_defined(desk: Desk):
    based = LIBRARY.replace("type: git\n", "type: git\nbase: https://example.org\ncredential: env:TOKEN\n", 1)
    desk.apply(based)
    library = Library(desk.database, FakeSecrets({"env:TOKEN": "s3cret"}))
    repository = library.repository("app")
    assert repository.ref.url == "https://example.org/app.git"
    assert repository.ref.credential is not None
    assert repository.ref.credential() == "s3cret"
    assert library.environment("qa").branch == "qa"
    assert library.suite("unit").command == ("make", "test")
    assert library.draft("review").suites == ("unit",)
    assert library.context_item("app")["kind"] == "git_repository"
    with pytest.raises(NotFound, match="did you mean 'qa'"):
        library.environment("qaa")
