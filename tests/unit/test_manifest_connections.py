"""Manifests of connections to providers: where they are, and what their listeners want to know."""

from __future__ import annotations

from pathlib import Path

import pytest

from dct_pipelines import registry
from dct_pipelines.domain.manifest import brief, parse, plain
from dct_pipelines.domain.words import Kind
from dct_pipelines.engine.manifests import World
from dct_pipelines.engine.manifests.schema import manifest_schema
from tests.support.manifests import checked, faults, only_fault

JIRA = """kind: connection
name: tickets
type: jira
base: https://example.atlassian.net
credential: env:JIRA_API_TOKEN
config: {username: bot@example.org}
"""
TICKET = """---
kind: item
name: pay-7
type: jira_ticket
connection: tickets
location: PAY-7
"""


def test_a_connection_carries_what_its_listener_wants_to_know():
    text = JIRA + "webhook_secret: file:/run/secrets/jira\nallow_private_network: true\n"
    spec = checked(text).world.find(Kind.CONNECTION, "tickets")
    assert (spec.config, spec.webhook_secret) == ({"username": "bot@example.org"}, "file:/run/secrets/jira")
    assert brief(parse(Kind.CONNECTION, plain(spec))) == {
        "name": "tickets",
        "type": "jira",
        "base": "https://example.atlassian.net",
        "credential": "env:JIRA_API_TOKEN",
        "config": {"username": "bot@example.org"},
        "webhook_secret": "file:/run/secrets/jira",
        "allow_private_network": True,
    }


def test_a_fault_of_the_configuration_is_told_with_its_line():
    said = only_fault(JIRA.replace("username:", "usrname:"))
    assert said.startswith("team.yaml:6")
    assert "config.usrname: unknown key 'usrname'; did you mean 'username'?" in said


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("example.atlassian.net", "begins with https:// or http:// and names a host"),
        ("ftp://example.atlassian.net", "begins with https:// or http://"),
        ("https://", "names a host"),
        ("https://bot:hunter2@example.atlassian.net", "there is an account in the URL"),
        ("https://bot@example.atlassian.net", "there is an account in the URL"),
        ("https://example.atlassian.net?x=1", "the address of the host only"),
        ("https://example.atlassian.net#x", "the address of the host only"),
        ("https://exämple.net", "the address of the host only"),
        ("https://example.net/a b", "the address of the host only"),
        ("https://[::1", "this is not a URL"),
        ("https://example.net:99999", "this is not a URL"),
    ],
)
def test_a_base_is_the_address_of_a_host(base, words):
    said = only_fault(JIRA.replace("https://example.atlassian.net", f'"{base}"'))
    assert "base: " in said
    assert words in said
    assert "hunter2" not in said


def test_a_base_is_kept_without_the_slash_at_its_end():
    text = JIRA.replace("atlassian.net", "atlassian.net/jira/")
    assert checked(text).world.find(Kind.CONNECTION, "tickets").base == "https://example.atlassian.net/jira"


def test_a_provider_with_an_address_of_its_own_needs_no_base():
    checked("kind: connection\nname: code\ntype: github\ncredential: env:TOKEN\n")
    missing = only_fault("kind: connection\nname: tickets\ntype: jira\ncredential: env:TOKEN\n")
    assert "'base' is missing; add the URL of the host, as https://..." in missing


def test_a_repository_of_a_provider_lies_below_its_address():
    text = "kind: connection\nname: code\ntype: github\n---\nkind: item\nname: shop\ntype: git_repository\n"
    text += "connection: code\nlocation: %s\n"
    found = checked(text % "example/shop").world.find(Kind.ITEM, "shop")
    assert found.location == "https://github.com/example/shop"
    assert "is not below" in only_fault(text % "https://evil.example/shop")


def test_a_location_that_is_no_path_is_kept_as_it_is_written():
    query = 'project = PAY AND text ~ "https://bot:pw@example.org/[" AND x = "../y"'
    text = JIRA + TICKET.replace("jira_ticket", "jira_query").replace("PAY-7", f"'{query}'")
    assert checked(text).world.find(Kind.ITEM, "pay-7").location == query


def test_a_location_that_the_listener_does_not_take_is_refused_with_its_line():
    said = only_fault(JIRA + TICKET.replace("PAY-7", "not a ticket"))
    assert said.startswith("team.yaml:12")
    assert "location: not a ticket: is no ticket" in said


def test_an_item_needs_a_kind_that_its_connection_has():
    assert "has no slack_channel" in only_fault(JIRA + TICKET.replace("jira_ticket", "slack_channel"))


def test_a_connection_cannot_move_away_from_under_its_items():
    stored = checked(JIRA + TICKET).world
    moved = JIRA.replace("example.atlassian", "other.atlassian")
    assert "items of this connection lie below its old base: pay-7" in only_fault(moved, stored)
    assert checked(moved + TICKET, stored).manifests


def test_a_secret_is_named_by_reference_only():
    said = faults(JIRA + "webhook_secret: hunter2\n")
    assert [one.path for one in said] == [("webhook_secret",)]
    assert "hunter2" not in str(said[0])


@pytest.mark.parametrize("kind", sorted(registry.listeners()))
def test_the_example_of_every_listener_makes_a_valid_connection(kind):
    listener = registry.listener(kind)
    spec = {"name": "one", "type": kind, "config": dict(listener.connection_example)}
    if listener.base_schemes and listener.default_base is None:
        spec["base"] = f"{listener.base_schemes[0]}://host.example.org"
    listener.connection_config.model_validate(spec["config"])
    world = World({Kind.CONNECTION: {"one": parse(Kind.CONNECTION, spec)}})
    assert world.find(Kind.CONNECTION, "one").type == kind


def test_editors_know_what_each_type_of_connection_wants():
    schema = manifest_schema()
    parts = schema["$defs"]["connection"]["allOf"]
    assert {one["if"]["properties"]["type"]["const"] for one in parts} == set(registry.listeners())
    assert "username" in schema["$defs"]["connection.jira"]["properties"]


def test_a_folder_is_only_for_repositories(tmp_path: Path):
    text = "kind: connection\nname: code\ntype: git\nbase: repositories\n"
    assert checked(text).world.find(Kind.CONNECTION, "code").base == "/srv/manifests/repositories"
