"""Manifests of what triggers refer to: connections, items, environments, drafts."""

from __future__ import annotations

from pathlib import Path

import pytest

from dct_pipelines.domain.words import Kind
from dct_pipelines.engine.manifests import InvalidManifests, World, check
from dct_pipelines.engine.manifests.source import parse_text
from tests.support.manifests import BASE, LIBRARY, TRIGGER, checked, faults, only_fault


def test_a_secret_is_never_taken_into_a_location_nor_shown():
    text = BASE.replace("repositories/app.git", "https://me:hunter2@example.org/app.git") + TRIGGER
    said = only_fault(text)
    assert "there is a secret in the URL" in said
    assert "hunter2" not in said
    written = BASE.replace(
        "type: git\n", "type: git\nbase: https://example.org/team\ncredential: hunter2\n", 1
    )
    assert "hunter2" not in only_fault(written.replace("repositories/app.git", "app.git") + TRIGGER)


def test_a_credential_is_only_sent_below_the_base_of_its_connection():
    without = BASE.replace("type: git\n", "type: git\ncredential: env:TOKEN\n", 1) + TRIGGER
    assert "add `base`" in only_fault(without)
    based = without.replace("credential:", "base: https://example.org/team\ncredential:")
    inside = checked(based.replace("repositories/app.git", "app.git"))
    assert inside.world.find(Kind.ITEM, "app").location == "https://example.org/team/app.git"
    for outside in ("https://evil.example/app.git", "../app.git", "https://example.org/teammate/app.git"):
        assert "is not below" in only_fault(based.replace("repositories/app.git", outside))


def test_a_type_of_connection_that_there_is_not_is_answered_with_the_nearest():
    assert "did you mean 'git'" in only_fault("kind: connection\nname: code\ntype: gti\n")


def test_manifests_of_other_kinds_are_left_alone_but_explained_when_referred_to():
    documents, _ = parse_text(BASE + TRIGGER, "team.yaml", Path("/srv"))
    with pytest.raises(InvalidManifests) as caught:
        check(documents, World({}), only={Kind.TRIGGER})
    assert "the item 'app' of team.yaml is not stored; apply it first" in str(caught.value)


def test_an_environment_needs_a_repository_a_branch_that_can_exist_and_one_way_to_tell_its_health():
    text = (
        LIBRARY
        + """---
kind: environment
name: qa
repository: app
branch: "q a"
deployer: {type: local, command: [./deploy], comand: x}
health_check: {attempts: 3}
"""
    )
    said = "\n".join(map(str, faults(text)))
    assert "deployer.comand: unknown key 'comand'; did you mean 'command'?" in said
    good = text.replace(", comand: x", "")
    said = "\n".join(map(str, faults(good)))
    assert "branch: 'refs/heads/q a' is not a valid reference name" in said
    assert "health_check: it needs a url or a command" in said


def test_a_deployer_that_does_not_exist_is_named_with_those_that_do():
    text = (
        LIBRARY
        + """---
kind: environment
name: qa
repository: app
branch: qa
deployer: {type: webhok, url: http://127.0.0.1}
"""
    )
    assert "deployer: type 'webhok' is not known here; did you mean 'webhook'?" in only_fault(text)


def test_a_draft_checks_its_templates_and_its_suites():
    text = (
        LIBRARY
        + """---
kind: draft
name: review
title: "Look at {{ event.branch }}"
repository: app
suites: [unit]
branch: "ws/{{ workspace.shrt_id }}"
"""
    )
    found = "\n".join(map(str, faults(text)))
    assert "suites[0]: there is no suite 'unit'" in found
    assert "branch: 'workspace.shrt_id' is not known here" in found


def test_what_is_stored_under_a_name_cannot_become_another_type():
    stored = checked(LIBRARY).world
    changed = LIBRARY.replace("type: git_repository", "type: document").replace("connection: local\n", "")
    said = only_fault(changed, stored)
    assert "type: 'app' is stored as git_repository and cannot become document" in said
