"""The Slack that tests start: what it can do, and where it is unlike the real one.

A test against it proves no more than what it can do. When a newer version does better than these tests say,
they fail, and whatever works around it can go.
"""

from __future__ import annotations

import httpx
import pytest
from slack_sdk.errors import SlackApiError

from tests.support.servers.slack_server import SlackChannel, SlackServer

pytestmark = pytest.mark.integration


def test_slack_says_who_one_is_and_finds_people_by_mail(slack_server: SlackServer):
    bot = slack_server.client("dct")
    assert bot.auth_test()["user"] == "dct"
    found = bot.users_lookupByEmail(email="dev@example.com")["user"]
    assert (found["id"], found["name"]) == (slack_server.user_id("dev"), "dev")
    with pytest.raises(SlackApiError, match="users_not_found"):
        bot.users_lookupByEmail(email="nobody@example.com")


def test_slack_pages_a_history_newest_first_without_replies(slack: SlackChannel):
    sent = [slack.post(f"message {n}") for n in range(5)]
    slack.post("late", who="lead", thread_ts=sent[0])
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
    replies = [slack.post(f"reply {n}", who="lead", thread_ts=root) for n in range(3)]
    assert [each["ts"] for each in slack.replies(root)] == [root, *replies]
    assert "thread_ts" not in slack.replies(root)[0]
    slack.delete(replies[0], who="lead")
    assert slack.replies(root)[0]["reply_count"] == 3
    slack.delete(root)
    assert [each["ts"] for each in slack.replies(root)] == replies[1:]
    assert slack.history() == []


def test_slack_lets_authors_change_and_delete_what_they_said(slack: SlackChannel):
    ts = slack.post("first")
    slack.edit(ts, "second")
    (message,) = slack.history()
    assert (message["text"], message["edited"]["user"]) == ("second", slack.server.user_id("dev"))
    with pytest.raises(SlackApiError, match="cant_update_message"):
        slack.edit(ts, "third", who="lead")
    slack.delete(ts)
    assert slack.history() == []
    with pytest.raises(SlackApiError, match="message_not_found"):
        slack.edit(ts, "fourth")


def test_slack_takes_ids_and_names_of_channels_and_people_but_no_hash(slack: SlackChannel):
    bot = slack.server.client("dct")
    assert bot.chat_postMessage(channel=slack.name, text="by name")["channel"] == slack.id
    assert bot.chat_postMessage(channel=slack.server.user_id("dev"), text="to you")["channel"].startswith("D")
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
