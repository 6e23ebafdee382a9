"""The Jira that tests start: what it can do, and where it is unlike a real one.

A test against it proves no more than what it can do. When a newer version does better than these tests say,
they fail, and whatever works around it can go.
"""

from __future__ import annotations

import httpx
import pytest

from tests.support.servers.jira_server import JiraServer

pytestmark = pytest.mark.integration


def test_jira_says_who_one_is_and_what_it_is(jira: JiraServer):
    assert jira.call("GET", "myself")["name"] == "admin"
    assert jira.call("GET", "serverInfo")["deploymentType"] == "Server"


def test_jira_tells_its_time_only_in_the_date_header(jira: JiraServer):
    assert jira.call("GET", "serverInfo")["serverTime"] == "2026-01-01T09:00:00.000+0000"
    assert "date" in jira.http.get("/rest/api/2/serverInfo").headers


def test_jira_searches_by_key_status_project_and_day_and_pages(jira: JiraServer):
    keys = [jira.create(f"Page {n}", labels=["paged"]) for n in range(5)]
    jira.move(keys[0], "Done")
    named = ", ".join(keys)
    first = jira.search(f"key in ({named}) ORDER BY key ASC", maxResults=2, fields="summary,updated")
    assert (first["total"], first["startAt"], len(first["issues"])) == (5, 0, 2)
    rest = jira.search(f"key in ({named}) ORDER BY key ASC", startAt=2, maxResults=50)
    assert {issue["key"] for page in (first, rest) for issue in page["issues"]} == set(keys)
    assert set(first["issues"][0]["fields"]) == {"summary", "updated"}
    found = jira.search(f'project = SHOP AND key in ({named}) AND status = "Done" AND updated >= -1d')
    assert [issue["key"] for issue in found["issues"]] == [keys[0]]


@pytest.mark.parametrize(
    "clause", ["id in (1)", "id = 1", "issuekey = NO-1", "priority = Low", "nonsense", "a = b"]
)
def test_jira_takes_a_clause_that_it_does_not_know_for_everything(jira: JiraServer, clause: str):
    assert jira.search(clause, maxResults=0)["total"] == jira.search("", maxResults=0)["total"]


def test_jira_compares_whole_days_and_takes_minutes_for_months(jira: JiraServer):
    key = jira.create()
    day = jira.read(key)["fields"]["updated"][:10]
    assert jira.search(f'key = {key} AND updated >= "{day} 23:59"')["total"] == 1
    assert jira.search(f"key = {key} AND updated <= -5m")["total"] == 0
    assert jira.search(f"key = {key} AND updated >= -5m")["total"] == 1


def test_jira_finds_no_ticket_by_its_number(jira: JiraServer):
    ticket = jira.read(jira.create())
    assert jira.http.get(f"/rest/api/2/issue/{ticket['id']}").status_code == 404


def test_jira_moves_a_ticket_and_writes_that_down(jira: JiraServer):
    key = jira.create()
    assert set(jira.transitions(key)) == {"In Progress", "In Review", "Ready for QA", "Done", "Reopened"}
    jira.move(key, "In Progress")
    jira.move(key, "Ready for QA")
    histories = jira.read(key)["changelog"]["histories"]
    steps = [
        (each["id"], item["fromString"], item["toString"]) for each in histories for item in each["items"]
    ]
    assert steps == [("1000", "Open", "In Progress"), ("1001", "In Progress", "Ready for QA")]
    assert histories[0]["created"] == histories[1]["created"] == jira.read(key)["fields"]["updated"]
    assert histories[0]["author"]["name"] == "admin"


def test_jira_refuses_a_transition_that_it_does_not_offer(jira: JiraServer):
    answer = jira.http.post(
        f"/rest/api/2/issue/{jira.create()}/transitions", json={"transition": {"id": "11"}}
    )
    assert answer.status_code == 400
    assert answer.json()["errorMessages"]


def test_jira_sends_no_changelog_with_a_search(jira: JiraServer):
    key = jira.create()
    jira.move(key, "Done")
    assert "changelog" not in jira.search(f"key = {key}", expand="changelog")["issues"][0]


def test_jira_changes_fields_without_writing_that_down(jira: JiraServer):
    key = jira.create()
    jira.assign(key, "dev")
    jira.prioritise(key, "Low")
    jira.edit(key, labels=["urgent"], summary="Otherwise")
    ticket = jira.read(key)
    fields = ticket["fields"]
    assert fields["assignee"]["name"] == "dev"
    assert (fields["priority"]["name"], fields["labels"], fields["summary"]) == (
        "Low",
        ["urgent"],
        "Otherwise",
    )
    assert ticket["changelog"]["histories"] == []


def test_jira_ignores_the_update_part_of_an_edit(jira: JiraServer):
    key = jira.create(labels=["one"])
    jira.call("PUT", f"issue/{key}", json={"update": {"labels": [{"add": "two"}]}})
    assert jira.read(key)["fields"]["labels"] == ["one"]


def test_jira_keeps_comments_pages_them_and_forgets_when_one_was_edited(jira: JiraServer):
    key = jira.create()
    first, second, third = (jira.comment(key, text) for text in ("one", "two", "three"))
    assert int(first) < int(second) < int(third)
    before = jira.comments(key)[0]
    jira.edit_comment(key, first, "one, otherwise")
    jira.delete_comment(key, second)
    assert [(each["id"], each["body"]) for each in jira.comments(key)] == [
        (first, "one, otherwise"),
        (third, "three"),
    ]
    assert jira.comments(key)[0]["updated"] == before["updated"]
    page = jira.call("GET", f"issue/{key}/comment", params={"startAt": 1, "maxResults": 1})
    assert (page["total"], [each["id"] for each in page["comments"]]) == (2, [third])
    assert jira.http.get(f"/rest/api/2/issue/{key}/comment/{first}").status_code == 405


def test_jira_keeps_one_remote_link_for_each_global_id(jira: JiraServer):
    key = jira.create()
    for title in ("Run", "The run"):
        link = {"globalId": "run=1", "object": {"url": "https://dct.example.com/1", "title": title}}
        jira.call("POST", f"issue/{key}/remotelink", json=link)
    assert [each["object"]["title"] for each in jira.call("GET", f"issue/{key}/remotelink")] == ["The run"]


def test_jira_says_that_a_deleted_ticket_does_not_exist(jira: JiraServer):
    key = jira.create()
    jira.delete(key)
    answer = jira.http.get(f"/rest/api/2/issue/{key}")
    assert (answer.status_code, answer.json()["errorMessages"]) == (404, [f"Issue Does Not Exist: {key}"])
    assert jira.search(f"key in ({key})")["total"] == 0


@pytest.mark.parametrize("path", ["mypermissions", "issue/SHOP-1/properties", "issue/SHOP-1/changelog"])
def test_jira_has_no_permissions_properties_or_paged_changelog(jira: JiraServer, path: str):
    assert jira.http.get(f"/rest/api/2/{path}").status_code == 404


def test_jira_lets_everybody_in(jira: JiraServer):
    answer = httpx.get(f"{jira.base_url}/rest/api/2/myself", auth=("nobody", "wrong"), trust_env=False)
    assert answer.json()["name"] == "admin"
