"""The servers that the tests start: that they speak their protocols, and where they are unlike the real ones.

A test against one of them proves no more than what the server can do. When a newer version does better than
these tests say, they fail, and whatever works around it can go.
"""

from __future__ import annotations

import imaplib
import socket
import ssl
import sys

import httpx
import psutil
import pytest
from imapclient import IMAPClient
from imapclient.exceptions import LoginError
from slack_sdk.errors import SlackApiError

from tests.support.servers.imap_server import PASSWORD, Mailbox, running_imap
from tests.support.servers.jira_server import JiraServer, running_jira
from tests.support.servers.process import ServerFailed, free_port, running
from tests.support.servers.slack_server import SlackChannel, SlackServer, running_slack

pytestmark = pytest.mark.integration

MAIL = b"From: Ada <ada@example.org>\r\nSubject: Hello\r\nMessage-ID: <1@example.org>\r\n\r\nHi\r\n"


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# ------------------------------------------------------------------ processes


def test_a_server_that_ends_while_it_starts_shows_its_log(tmp_path):
    argv = [sys.executable, "-c", "print('the disk is full'); raise SystemExit(3)"]
    with (
        pytest.raises(ServerFailed, match=r"ended with 3 while it started[\s\S]*the disk is full"),
        running("A server", argv, free_port(), tmp_path / "log"),
    ):
        pass


def test_the_servers_end_with_their_blocks_and_leave_no_process(tmp_path):
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    with (
        running_imap(tmp_path / "log") as imap,
        running_jira(tmp_path) as jira,
        running_slack(tmp_path) as slack,
    ):
        ports = [imap.port, imap.tls_port, imap.lmtp_port]
        ports += [httpx.URL(url).port or 0 for url in (jira.base_url, slack.base_url)]
        assert all(listens(port) for port in ports)
    assert not any(listens(port) for port in ports)
    assert {child.pid for child in psutil.Process().children(recursive=True)} <= before


# ------------------------------------------------------------------ Jira


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
    jira.assign(key, "ada")
    jira.prioritise(key, "Low")
    jira.edit(key, labels=["urgent"], summary="Otherwise")
    ticket = jira.read(key)
    fields = ticket["fields"]
    assert fields["assignee"]["name"] == "ada"
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


# ------------------------------------------------------------------ IMAP


def test_imap_delivers_with_the_headers_of_a_last_server(mailbox: Mailbox):
    mailbox.deliver(MAIL, sender="bounce@example.org")
    mailbox.client.select_folder("INBOX", readonly=True)
    text = mailbox.client.fetch([1], ["BODY.PEEK[]"])[1][b"BODY[]"]
    assert text.startswith(b"Return-Path: <bounce@example.org>\r\nDelivered-To: " + mailbox.user.encode())
    assert text.endswith(MAIL)


def test_imap_counts_changes_and_keeps_seen_flags_to_itself(mailbox: Mailbox):
    client = mailbox.client
    assert {b"CONDSTORE", b"QRESYNC", b"IDLE", b"MOVE", b"UIDPLUS"} <= set(client.capabilities())
    uids = [mailbox.append(MAIL) for _ in range(2)]
    assert uids == [1, 2]
    status = client.folder_status("INBOX", ["UIDVALIDITY", "UIDNEXT", "HIGHESTMODSEQ", "MESSAGES"])
    assert (status[b"UIDNEXT"], status[b"MESSAGES"]) == (3, 2)
    selected = client.select_folder("INBOX", readonly=True)
    assert selected[b"UIDVALIDITY"] == status[b"UIDVALIDITY"]
    assert client.fetch([1], ["BODY.PEEK[]"])[1][b"BODY[]"] == MAIL
    assert b"\\Seen" not in client.fetch([1], ["FLAGS"])[1][b"FLAGS"]
    client.unselect_folder()
    client.select_folder("INBOX")
    client.add_flags([1], [b"\\Seen"])
    changed = client.fetch([1, 2], ["FLAGS"], [f"CHANGEDSINCE {status[b'HIGHESTMODSEQ']}"])
    assert list(changed) == [1]


def test_imap_tells_a_waiting_client_of_new_mail(mailbox: Mailbox):
    mailbox.client.select_folder("INBOX", readonly=True)
    mailbox.client.idle()
    mailbox.deliver(MAIL)
    heard = mailbox.client.idle_check(timeout=20)
    mailbox.client.idle_done()
    assert (1, b"EXISTS") in heard


def test_imap_moves_deletes_and_starts_folders_anew(mailbox: Mailbox):
    first, second = mailbox.append(MAIL), mailbox.append(MAIL)
    mailbox.move(first, "Archive")
    mailbox.delete(second)
    assert mailbox.client.folder_status("INBOX", ["MESSAGES"])[b"MESSAGES"] == 0
    before = mailbox.client.folder_status("Archive", ["UIDVALIDITY", "MESSAGES"])
    mailbox.recreate("Archive")
    after = mailbox.client.folder_status("Archive", ["UIDVALIDITY", "MESSAGES"])
    assert (before[b"MESSAGES"], after[b"MESSAGES"]) == (1, 0)
    assert before[b"UIDVALIDITY"] != after[b"UIDVALIDITY"]


def test_imap_takes_the_password_or_a_token_and_nothing_else(mailbox: Mailbox):
    server = mailbox.server
    with IMAPClient(server.host, server.port, ssl=False) as client:
        with pytest.raises(LoginError):
            client.login(mailbox.user, "wrong")
        client.oauth2_login(mailbox.user, PASSWORD)
        client.select_folder("INBOX", readonly=True)
    with imaplib.IMAP4(server.host, server.port) as plain, pytest.raises(imaplib.IMAP4.error):
        plain.authenticate("XOAUTH2", lambda _: f"user={mailbox.user}\x01auth=Bearer wrong\x01\x01".encode())


def test_imap_speaks_tls_with_a_certificate_that_one_may_trust(mailbox: Mailbox):
    server = mailbox.server
    trusting = ssl.create_default_context(cafile=str(server.certificate))
    with IMAPClient("localhost", server.tls_port, ssl_context=trusting) as client:
        client.login(mailbox.user, mailbox.password)
    with IMAPClient(server.host, server.port, ssl=False) as upgraded:
        upgraded.starttls(trusting)
        upgraded.login(mailbox.user, mailbox.password)
    with pytest.raises(ssl.SSLCertVerificationError):
        IMAPClient(server.host, server.tls_port, ssl_context=ssl.create_default_context())


# ------------------------------------------------------------------ Slack


def test_slack_says_who_one_is_and_finds_people_by_mail(slack_server: SlackServer):
    bot = slack_server.client("dct")
    assert bot.auth_test()["user"] == "dct"
    found = bot.users_lookupByEmail(email="ada@example.com")["user"]
    assert (found["id"], found["name"]) == (slack_server.user_id("ada"), "ada")
    with pytest.raises(SlackApiError, match="users_not_found"):
        bot.users_lookupByEmail(email="nobody@example.com")


def test_slack_pages_a_history_newest_first_without_replies(slack: SlackChannel):
    sent = [slack.post(f"message {n}") for n in range(5)]
    slack.post("late", who="grace", thread_ts=sent[0])
    bot = slack.server.client("dct")
    first = bot.conversations_history(channel=slack.id, limit=3)
    assert first["has_more"]
    rest = bot.conversations_history(
        channel=slack.id, limit=3, cursor=first["response_metadata"]["next_cursor"]
    )
    assert [each["ts"] for page in (first, rest) for each in page["messages"]] == sent[::-1]
    assert (sent, len(set(sent))) == (sorted(sent), 5)
    assert rest["messages"][-1]["reply_count"] == 1


def test_slack_ignores_oldest_latest_and_inclusive(slack: SlackChannel):
    sent = [slack.post(f"message {n}") for n in range(3)]
    assert len(slack.history(oldest=sent[-1])) == 3
    assert len(slack.history(latest=sent[0], inclusive=False)) == 3


def test_slack_gives_a_thread_unpaged_and_keeps_replies_without_their_root(slack: SlackChannel):
    root = slack.post("root")
    replies = [slack.post(f"reply {n}", who="grace", thread_ts=root) for n in range(3)]
    assert [each["ts"] for each in slack.replies(root)] == [root, *replies]
    assert "thread_ts" not in slack.replies(root)[0]
    slack.delete(replies[0], who="grace")
    assert slack.replies(root)[0]["reply_count"] == 3
    slack.delete(root)
    assert [each["ts"] for each in slack.replies(root)] == replies[1:]
    assert slack.history() == []


def test_slack_lets_authors_change_and_delete_what_they_said(slack: SlackChannel):
    ts = slack.post("first")
    slack.edit(ts, "second")
    (message,) = slack.history()
    assert (message["text"], message["edited"]["user"]) == ("second", slack.server.user_id("ada"))
    with pytest.raises(SlackApiError, match="cant_update_message"):
        slack.edit(ts, "third", who="grace")
    slack.delete(ts)
    assert slack.history() == []
    with pytest.raises(SlackApiError, match="message_not_found"):
        slack.edit(ts, "fourth")


def test_slack_takes_ids_and_names_of_channels_and_people_but_no_hash(slack: SlackChannel):
    bot = slack.server.client("dct")
    assert bot.chat_postMessage(channel=slack.name, text="by name")["channel"] == slack.id
    assert bot.chat_postMessage(channel=slack.server.user_id("ada"), text="to you")["channel"].startswith("D")
    with pytest.raises(SlackApiError, match="channel_not_found"):
        bot.chat_postMessage(channel=f"#{slack.name}", text="by hash")


def test_slack_names_a_missing_scope_but_takes_a_wrong_token_for_the_administrator(slack: SlackChannel):
    client = slack.server.client("dct")
    client.token = slack.server.narrow_token
    with pytest.raises(SlackApiError, match="missing_scope") as refused:
        client.conversations_history(channel=slack.id)
    assert refused.value.response["needed"] == "channels:history"
    client.token = "xoxb-wrong"
    assert client.auth_test()["user"] == "admin"


def test_slack_has_no_socket_mode(slack_server: SlackServer):
    answer = httpx.post(
        f"{slack_server.base_url}apps.connections.open",
        headers={"Authorization": "Bearer xapp-1"},
        trust_env=False,
    )
    assert answer.status_code == 404
