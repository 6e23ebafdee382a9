"""Where items are: joined to the base of their connection, and never outside of it."""

from __future__ import annotations

import os.path
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.domain.roles import Role, define_fault, deploy_fault, edit_fault, launch_fault, users_fault
from dct_pipelines.domain.words import Kind, TriggerType
from dct_pipelines.engine.manifests.locations import absolute, below, is_remote, secret_fault

PARTS = st.lists(
    st.sampled_from(["..", ".", "app", "%2e%2e", "%2E.", "", "~", "a b", "https:", "git@h:", "\\..\\"]),
    max_size=6,
)
LOCATIONS = PARTS.map("/".join)


@pytest.mark.parametrize(
    ("location", "remote"),
    [
        ("https://example.org/app.git", True),
        ("git@example.org:team/app.git", True),
        ("example.org:app.git", True),
        ("file:///srv/app.git", True),
        ("/srv/app.git", False),
        ("repositories/app.git", False),
        ("./a:b", False),
        ("~/app", False),
    ],
)
def test_urls_and_ssh_addresses_are_told_from_paths(location: str, remote: bool):
    assert is_remote(location) is remote


@pytest.mark.parametrize(
    ("base", "location", "there"),
    [
        ("https://example.org/team", "app.git", "https://example.org/team/app.git"),
        ("https://example.org/team", "https://example.org/team/app.git", "https://example.org/team/app.git"),
        ("https://example.org/team", "https://example.org/teammate/app.git", None),
        ("https://example.org/team", "https://evil.example/app.git", None),
        ("https://example.org/team", "%2e%2e/other.git", None),
        ("git@example.org:team", "app.git", "git@example.org:team/app.git"),
        ("git@example.org:", "app.git", "git@example.org:app.git"),
        ("/srv/repositories", "app.git", "/srv/repositories/app.git"),
        ("/srv/repositories", "/srv/repositories/app.git", "/srv/repositories/app.git"),
        ("/srv/repositories", "../secrets", None),
        ("/srv/repositories", "/etc", None),
        ("/srv/repositories", "https://evil.example/app.git", None),
        ("/", "srv", "/srv"),
    ],
)
def test_a_location_is_joined_to_its_base_or_refused(base: str, location: str, there: str | None):
    assert below(base, location) == there


@given(LOCATIONS)
def test_no_location_leads_out_of_a_folder(location: str):
    there = below("/srv/base", location)
    assert there is None or os.path.normpath(there) == there
    assert there is None or Path(there).is_relative_to("/srv/base")


@given(LOCATIONS)
def test_no_location_leads_out_of_a_url(location: str):
    there = below("https://example.org/team", location)
    if there is not None:
        assert urlsplit(there).hostname == "example.org"
        assert os.path.normpath(unquote(urlsplit(there).path)).startswith("/team")


def test_a_path_is_relative_to_where_it_was_written_and_what_is_remote_stays():
    assert absolute("a/../b.git", Path("/srv/manifests")) == "/srv/manifests/b.git"
    assert absolute("https://example.org/a.git/", Path("/srv")) == "https://example.org/a.git"


@pytest.mark.parametrize(
    "url", ["https://me:secret@h/x", "https://token@h/x", "ssh://me:secret@h/x", "http://[/"]
)
def test_a_secret_in_a_url_is_seen(url: str):
    assert secret_fault(url)
    assert "secret@" not in str(secret_fault(url))


@pytest.mark.parametrize("url", ["https://h/x", "ssh://git@h/x", "git@h:x", "/srv/x", "file:///srv/x"])
def test_a_url_without_a_secret_is_good(url: str):
    assert secret_fault(url) is None


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_operators_and_admins_may_define_edit_and_deploy_everything(role: Role):
    assert not [kind for kind in Kind if define_fault(role, kind)]
    assert not [trigger_type for trigger_type in TriggerType if edit_fault(role, trigger_type)]
    assert deploy_fault(role, "production") is None
    assert launch_fault(role) is None


@pytest.mark.parametrize(
    ("role", "environments"),
    [
        (Role.DEVELOPER, {"qa"}),
        (Role.TESTER, {"qa", "staging", "uat"}),
        (Role.PRODUCT_MANAGER, set[str]()),
    ],
)
def test_other_roles_deploy_where_the_design_says_and_define_no_commands(role: Role, environments: set[str]):
    every = {"qa", "staging", "uat", "production"}
    assert {name for name in every if deploy_fault(role, name) is None} == environments
    operators = {Kind.CONNECTION, Kind.ENVIRONMENT, Kind.SUITE, Kind.CHANNEL}
    assert {kind for kind in Kind if define_fault(role, kind)} == operators
    assert users_fault(role)
