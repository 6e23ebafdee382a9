"""Every call to Jira Cloud is one that Atlassian's own description of the interface knows.

`tests/data/jira-cloud-v3.json` is the part of that description that we use; where the whole one lies beside
the checkout, the part is compared with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dct_pipelines.clients.jira import CloudJira
from dct_pipelines.domain.facts import Person
from dct_pipelines.domain.tracking.gathering import Letters
from dct_pipelines.domain.tracking.raw import person_of
from dct_pipelines.domain.tracking.reader import Named
from dct_pipelines.domain.tracking.tickets import comment_of, history_of, ticket_of
from dct_pipelines.domain.words import ItemKind
from tests.fakes.jira_server import JiraServer
from tests.fakes.rest_http import Answered, Asked
from tests.support.jira import Simulation, simulation

ROOT = Path(__file__).parents[2]
WHOLE = ROOT.parent / "shared/specs/jira-cloud-v3.json.gz"
USED = json.loads((ROOT / "tests/data/jira-cloud-v3.json").read_text(encoding="utf-8"))
MARK = "0123456789abcdef"


@pytest.fixture
def simulated() -> Iterator[tuple[Simulation, list[tuple[Asked, Answered]]]]:
    """A simulated site whose answers are kept."""
    kept: list[tuple[Asked, Answered]] = []
    with simulation(is_cloud=True) as made:
        made.http.provider = Kept(made.server, kept)
        yield made, kept


class Kept:
    """Remembers what it was asked and what it answered."""

    def __init__(self, inner: JiraServer, kept: list[tuple[Asked, Answered]]) -> None:
        self.prefix, self.clock = inner.prefix, inner.clock
        self._inner, self._kept = inner, kept

    def answer(self, asked: Asked) -> Answered:
        answered = self._inner.answer(asked)
        self._kept.append((asked, answered))
        return answered


def use_everything(made: Simulation) -> None:
    """Call every method of the client, with every kind of argument."""
    site, client = made.site, made.client
    assert isinstance(client, CloudJira)
    issue = site.create(description="one\n\ntwo", assignee="dev")
    site.change(issue, status="Done", summary="New")
    for number in range(20):
        site.comment(issue, f"number {number}")
    client.check()
    client.priorities()
    for kind, location in ((ItemKind.JIRA_TICKET, issue.key), (ItemKind.JIRA_QUERY, "project = PAY")):
        client.look(kind, location, {})
    assert list(client.changed(15, []))
    assert list(client.changed(15, ["PAY", "OPS"]))
    found = client.tickets([Named(str(issue.id), issue.key), Named("", "NO-1")])
    assert client.histories(list(found.found))
    assert client.comments(Named(str(issue.id), issue.key))
    assert client.matching(["project = PAY", "nonsense"], [Named(str(issue.id), issue.key)])
    change_everything(client, issue.key)


def change_everything(client: CloudJira, key: str) -> None:
    """Every write."""
    ticket = client.ticket(key)
    client.take(key, client.transitions(key)[0], MARK)
    client.took(key, MARK)
    dev = client.find_user("dev@example.com")
    client.assign(key, dev, MARK)
    client.assign(key, None, MARK)
    client.find_user("5b10-lead")
    client.set_priority(key, "High", MARK)
    client.change_labels(key, ("a",), ("b",), MARK)
    client.comment(key, "hello\n\nthere\nyou", MARK)
    client.find_comment(key, MARK)
    client.link(key, "https://ci.example/1", "run", "https://ci.example/1")
    client.link(key, "https://ci.example/1", "run", "https://ci.example/1")
    assert isinstance(ticket.assignee, Person)


def operation_of(asked: Asked) -> str:
    """The description's name of a request."""
    for name in USED["operations"]:
        method, _, path = name.partition(" ")
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path.removeprefix("/rest/api/3")))
        if method == asked.method.lower() and re.fullmatch(pattern, asked.path):
            return str(name)
    raise AssertionError(f"{asked.method} {asked.path} is not in the description")


def schema(of: Any) -> Draft202012Validator:
    """A validator; the description's dialect is that of OpenAPI 3.0."""
    return Draft202012Validator({**of, "components": {"schemas": USED["schemas"]}})


def test_every_call_and_every_simulated_answer_is_as_described(simulated: Any):
    made, kept = simulated
    use_everything(made)
    assert {operation_of(asked) for asked, _ in kept} == set(USED["operations"])
    for asked, answered in kept:
        operation = USED["operations"][operation_of(asked)]
        known = {one["name"]: one for one in operation.get("parameters", ()) if one["in"] == "query"}
        assert {name for name, _ in asked.query} <= known.keys(), asked.path
        required = {name for name, one in known.items() if one.get("required")}
        assert required <= {name for name, _ in asked.query}, asked.path
        body = operation.get("requestBody")
        assert (asked.body is None) is (body is None), asked.path
        if body is not None:
            schema(body["content"]["application/json"]["schema"]).validate(asked.body)
        described = operation["responses"].get(str(answered.status), {}).get("content", {})
        if "application/json" in described and answered.content is not None:
            described_schema = described["application/json"]["schema"]
            schema(described_schema).validate(_without_news(answered.content))


def _without_news(content: Any) -> Any:
    """`isLast` of a search came to the interface after this description of it was written."""
    if isinstance(content, dict):
        return {name: one for name, one in content.items() if name != "isLast"}
    return content


def example(operation: str) -> Any:
    """The example answer of an operation, as the vendor wrote it."""
    content = USED["operations"][operation]["responses"]["200"]["content"]["application/json"]
    found = content["example"]
    return json.loads(found) if isinstance(found, str) else found


def test_the_vendors_example_of_a_changelog_is_understood():
    logs = example("post /rest/api/3/changelog/bulkfetch")["issueChangeLogs"]
    histories = [history_of(raw) for log in logs for raw in log["changeHistories"]]
    assert histories
    assert all(history.author is not None and history.at.year >= 2017 for history in histories)


def test_the_vendors_example_of_comments_is_understood():
    comments = example("get /rest/api/3/issue/{issueIdOrKey}/comment")["comments"]
    assert [comment_of(raw).text[:11] for raw in comments] == ["Lorem ipsum"] * len(comments)


def test_the_vendors_examples_of_people_are_understood():
    me = person_of(example("get /rest/api/3/myself"), "me")
    assert me is not None
    assert (me.id, me.name) == ("5b10a2844c20165700ede21g", "Mia Krystof")
    assert all(person_of(raw, "somebody") for raw in example("get /rest/api/3/user/search"))


def test_the_vendors_example_of_tickets_lacks_what_we_ask_for_and_is_kept_raw():
    letters = Letters()
    for raw in example("post /rest/api/3/issue/bulkfetch")["issues"]:
        assert letters.read("ticket", ticket_of, raw) is None
    assert letters.found


def test_the_part_that_is_kept_is_what_the_whole_description_says():
    script = spec_from_file_location("extract", ROOT / "scripts/extract_jira_spec.py")
    assert script is not None
    assert script.loader is not None
    extracting = module_from_spec(script)
    script.loader.exec_module(extracting)
    assert {f"{method} {path}" for method, path in extracting.USED} == set(USED["operations"])
    if WHOLE.exists():
        assert json.loads(json.dumps(extracting.extract(extracting.read(WHOLE)))) == USED
