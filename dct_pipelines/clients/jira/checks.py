"""Checking a connection to Jira, and looking at what is at a location."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dct_pipelines.clients.api import ApiAnswer, ApiRefusal
from dct_pipelines.clients.jira.reading import CommonReading
from dct_pipelines.clients.jira.site import part
from dct_pipelines.domain.connected import Finding
from dct_pipelines.domain.errors import ItemUnreadable
from dct_pipelines.domain.tracking.config import JiraConnection
from dct_pipelines.domain.words import ItemKind

PERMISSIONS = {
    "BROWSE_PROJECTS": "see tickets",
    "ADD_COMMENTS": "comment",
    "TRANSITION_ISSUES": "change their status",
}
MOST_CLOCK_SECONDS = 60


class Checking(CommonReading):
    """Part of a Jira client: the domain's `ConnectionPort`."""

    def check(self) -> tuple[Finding, ...]:
        """Which Jira it is, who we are there, what we may do, its clock, what it says of its limits."""
        try:
            answer = self.site.call("GET", "serverInfo")
        except ApiRefusal as refusal:
            return (_no_jira(refusal, self.site.config),)
        found = [_deployment(answer, self.site.config)]
        try:
            found += [self._account(), self._permissions()]
        except ApiRefusal as refusal:
            found.append(Finding("account", False, f"{refusal}; correct the credential or its permissions"))
        return (*found, _clock(answer), _limits(answer))

    def look(self, kind: ItemKind, location: str, config: Mapping[str, Any]) -> str:
        """What is at a key or a query, or ItemUnreadable with Jira's own words."""
        try:
            if kind is ItemKind.JIRA_TICKET:
                return self._ticket_line(location)
            return self._query_line(location)
        except ApiRefusal as refusal:
            raise ItemUnreadable(f"{refusal}; correct it, or let our account see it") from refusal

    def _account(self) -> Finding:
        raw = self.site.call("GET", "myself").body
        zone = raw.get("timeZone") if isinstance(raw, Mapping) else None
        me = self.me()
        return Finding("account", True, f"{me} ({me.id}), time zone {zone or 'unknown'}")

    def _permissions(self) -> Finding:
        query = {"permissions": ",".join(PERMISSIONS)}
        answer = self.site.call("GET", "mypermissions", query=query, accept={404})
        held = answer.body.get("permissions") if isinstance(answer.body, Mapping) else None
        if answer.status == 404 or not isinstance(held, Mapping):
            return Finding("permissions", True, "this Jira does not tell which permissions we have")
        lacking = [said for name, said in PERMISSIONS.items() if not _have(held.get(name))]
        if lacking:
            return Finding("permissions", False, f"in no project may we {', or '.join(lacking)}; grant it")
        return Finding("permissions", True, f"somewhere we may {', '.join(PERMISSIONS.values())}")

    def _ticket_line(self, location: str) -> str:
        body = self.site.call("GET", f"issue/{part(location)}", query={"fields": "summary,status"}).body
        fields = body.get("fields") or {}
        status = (fields.get("status") or {}).get("name")
        return f"{body.get('key')}: {fields.get('summary')} ({status})"

    def _query_line(self, query: str) -> str:
        if self.site.config.is_cloud:
            body = self.site.call("POST", "search/approximate-count", json={"jql": query}).body
            return f"about {body.get('count')} tickets match"
        body = self.site.call("GET", "search", query={"jql": query, "maxResults": "0"}).body
        return f"{body.get('total')} tickets match"


def _have(permission: Any) -> bool:
    return isinstance(permission, Mapping) and permission.get("havePermission") is True


def _no_jira(refusal: ApiRefusal, config: JiraConnection) -> Finding:
    """A Data Center has no REST v3; an address that is no Jira's has none at all."""
    other = (
        "for a Data Center, set the connection's deployment: data_center; else " if config.is_cloud else ""
    )
    return Finding("deployment", False, f"{refusal}; {other}correct its base")


def _deployment(answer: ApiAnswer, config: JiraConnection) -> Finding:
    body = answer.body if isinstance(answer.body, Mapping) else {}
    is_cloud = body.get("deploymentType") == "Cloud"
    said = f"Jira {'Cloud' if is_cloud else 'Data Center'} {body.get('version') or ''}".strip()
    if is_cloud is config.is_cloud:
        return Finding("deployment", True, said)
    right = "cloud" if is_cloud else "data_center"
    return Finding("deployment", False, f"{said}; set the connection's deployment: {right}")


def _clock(answer: ApiAnswer) -> Finding:
    offset = answer.date_offset_seconds
    if offset is None:
        return Finding("clock", True, "its clock is not told")
    is_near = abs(offset) <= MOST_CLOCK_SECONDS
    hint = "" if is_near else "; reads go by its clock, but set ours right"
    return Finding("clock", is_near, f"its clock is {offset:+.0f} s off ours{hint}")


def _limits(answer: ApiAnswer) -> Finding:
    told = {name: value for name, value in answer.headers.items() if "ratelimit" in name.replace("-", "")}
    said = ", ".join(f"{name}: {value[:60]}" for name, value in sorted(told.items()))
    return Finding("limits", True, said or "it does not tell which calls are left")
