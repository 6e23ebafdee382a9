"""What a role may define, and who changed what."""

from __future__ import annotations

import pytest

from dct_pipelines.domain.errors import NotFound, NotPermitted
from dct_pipelines.domain.roles import Role
from dct_pipelines.domain.words import Kind
from dct_pipelines.store.database import Database
from tests.support.desk import LIBRARY, TRIGGER, Desk, desk_on

pytestmark = pytest.mark.integration


@pytest.fixture
def desk(database: Database) -> Desk:
    return desk_on(database)


@pytest.mark.parametrize(
    ("role", "trigger_type", "allowed"),
    [
        (Role.DEVELOPER, "development", True),
        (Role.DEVELOPER, "testing", True),
        (Role.DEVELOPER, "deployment", False),
        (Role.TESTER, "testing", True),
        (Role.TESTER, "development", False),
        (Role.PRODUCT_MANAGER, "business", True),
        (Role.PRODUCT_MANAGER, "testing", False),
        (Role.OPERATOR, "deployment", True),
        (Role.ADMIN, "business", True),
    ],
)
def test_a_role_edits_the_types_of_triggers_that_are_its_own(
    desk: Desk, role: Role, trigger_type: str, allowed: bool
):
    desk.apply(LIBRARY)
    desk.catalog.save_user("someone", role, None, "local")
    text = TRIGGER.replace("name: ready", f"name: ready\ntype: {trigger_type}")
    if allowed:
        desk.apply(text, by="someone")
        assert desk.catalog.triggers()[0].created_by == "someone"
    else:
        with pytest.raises(NotPermitted, match="may edit triggers of type"):
            desk.apply(text, by="someone")
        assert desk.rows("dynamic_context_triggers") == 0


def test_a_developer_deploys_to_qa_only_and_defines_no_environment(desk: Desk):
    desk.apply(LIBRARY + "---" + LIBRARY.split("---")[3].replace("name: qa", "name: production"))
    desk.catalog.save_user("someone", Role.DEVELOPER, None, "local")
    deploy = "  - {type: deploy_environment, config: {environment: %s}}\n"
    desk.apply(TRIGGER + deploy % "qa", by="someone")
    with pytest.raises(NotPermitted, match="not to 'production'"):
        desk.apply(TRIGGER + deploy % "production", by="someone")
    with pytest.raises(NotPermitted, match="may not define a suite"):
        desk.apply(LIBRARY.replace("[make, test]", "[make, evil]"), by="someone")
    assert desk.apply(LIBRARY, by="someone").changed == ()


def test_somebody_unknown_may_do_nothing(desk: Desk):
    with pytest.raises(NotFound, match="there is no user 'nobody'"):
        desk.apply(LIBRARY, by="nobody")


def test_every_change_is_noted_with_who_and_what(desk: Desk):
    desk.apply(LIBRARY + "---" + TRIGGER)
    desk.apply(TRIGGER.replace("name: ready", "name: ready\npriority: 7"))
    latest = desk.catalog.show(Kind.TRIGGER, "ready")["changes"][0]
    assert (latest["actor"], latest["verb"]) == ("local", "update")
    assert latest["detail"]["differences"] == [{"path": "priority", "before": 5, "after": 7}]
