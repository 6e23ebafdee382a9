"""`dct connection`: accounts at providers. They are checked before they are stored, and watched then."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dct_pipelines.cli.definitions import APPS, Name, row_of
from dct_pipelines.cli.options import LOCAL, As, DryRun, Json

if TYPE_CHECKING:
    from dct_pipelines.domain.connected import Finding
    from dct_pipelines.engine.manage import Looked
    from dct_pipelines.engine.manage.connections import Standing

app = APPS["connection"]
Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Names of connections.")]
Words = Annotated[
    list[str],
    typer.Argument(metavar="[TYPE] NAME", help="What it speaks to, e.g. jira or slack (git), and its name."),
]
Reference = "env:NAME, file:/path or command:PROGRAM ARGUMENTS."


@app.command("add")
def add(
    words: Words,
    type_: Annotated[
        str | None, typer.Option("--type", help="What it speaks to, if not said before its name.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(help="Where the provider is: a URL; of git also a folder.")
    ] = None,
    credential: Annotated[
        str | None, typer.Option(help=f"Where its secret is read when it is used: {Reference}")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="A key of its config; JSON or text. May be repeated."
        ),
    ] = None,
    webhook_secret: Annotated[
        str | None, typer.Option(help=f"Where the secret of its deliveries is read: {Reference}")
    ] = None,
    allow_private_network: Annotated[
        bool,
        typer.Option("--allow-private-network", help="Its host is in a private network or this machine."),
    ] = False,
    poll_interval_seconds: Annotated[int | None, typer.Option(help="Read it this often, in seconds.")] = None,
    busy_interval_seconds: Annotated[
        int | None, typer.Option(help="Read it this often while it brings something: 1 to 4 s.")
    ] = None,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Store it without asking the provider first.")
    ] = False,
    dry_run: DryRun = False,
    by: As = LOCAL,
    json_output: Json = False,
) -> None:
    """Add a connection, or change the one of that name, after the provider has accepted it.

    A check that fails is told and nothing is stored (exit code 1). The secret itself is never stored.
    """
    kind, name = _kind_and_name(words, type_)
    given: dict[str, Any] = {
        "name": name,
        "type": kind,
        "base": base,
        "credential": credential,
        "config": _config(settings or []) or None,
        "webhook_secret": webhook_secret,
        "allow_private_network": allow_private_network or None,
        "poll_interval_seconds": poll_interval_seconds,
        "busy_interval_seconds": busy_interval_seconds,
    }
    data = {"kind": "connection"} | {key: value for key, value in given.items() if value is not None}
    _store(data, by, is_checked=not no_check, dry_run=dry_run, json_output=json_output)


def _store(data: dict[str, Any], by: str, *, is_checked: bool, dry_run: bool, json_output: bool) -> None:
    from dct_pipelines.cli.apply import show
    from dct_pipelines.cli.output import print_json
    from dct_pipelines.cli.session import services
    from dct_pipelines.domain.words import Kind
    from dct_pipelines.engine.manage import Wanted
    from dct_pipelines.engine.manifests import Document

    wanted = Wanted([Document("command line", data, Path.cwd())], by, frozenset({Kind.CONNECTION}))
    with services() as services_:
        report = services_.manager.apply(wanted, dry_run=True)
        after = report.changes[0].after or {}
        findings = services_.connections.check(after) if is_checked else ()
        is_good = all(one.is_ok for one in findings)
        if is_good and not dry_run:
            report = services_.manager.apply(wanted)
    if json_output:
        print_json({**report.as_data(), "stored": is_good and not dry_run, "findings": _plainly(findings)})
    else:
        _tell(findings)
        if is_good:
            show(report)
        else:
            typer.echo(
                "dct: nothing was stored; correct it, or store it all the same with --no-check", err=True
            )
    if not is_good:
        raise typer.Exit(1)


def _kind_and_name(words: list[str], type_: str | None) -> tuple[str, str]:
    if len(words) > 2 or (len(words) == 2 and type_ is not None):
        raise typer.BadParameter("give the type and the name: dct connection add jira NAME")
    return (words[0], words[1]) if len(words) == 2 else (type_ or "git", words[0])


def _config(settings: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator or not key:
            raise typer.BadParameter(f"--set takes KEY=VALUE, not {setting!r}")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def _plainly(findings: tuple[Finding, ...]) -> list[dict[str, Any]]:
    return [{"what": one.what, "ok": one.is_ok, "said": one.said} for one in findings]


def _tell(findings: tuple[Finding, ...]) -> None:
    from dct_pipelines.cli.output import table

    if findings:
        rows = [[one.what, "ok" if one.is_ok else "failed", one.said] for one in findings]
        table(("checked", "state", "said"), rows, empty="")


@app.command("check")
def check(name: Name, json_output: Json = False) -> None:
    """Ask the provider who we are there and what is left to us, then look at each item, now.

    Exit code 1 if something is not as it should be.
    """
    from dct_pipelines.cli.output import print_json
    from dct_pipelines.cli.session import catalog_of, services
    from dct_pipelines.domain.words import Kind

    with services() as services_:
        catalog = catalog_of(services_)
        findings = services_.connections.check(catalog.find(Kind.CONNECTION, name).spec)
        is_accepted = all(one.is_ok for one in findings)
        looked = catalog.check_connection(name) if is_accepted else []
    items = [{"item": one.item, "ok": one.is_ok, "said": one.said} for one in looked]
    if json_output:
        print_json({"findings": _plainly(findings), "items": items})
    else:
        _tell(findings)
        _tell_items(name, looked)
    if not is_accepted or not all(one.is_ok for one in looked):
        raise typer.Exit(1)


def _tell_items(name: str, looked: list[Looked]) -> None:
    from dct_pipelines.cli.output import table

    rows = [[one.item, "ok" if one.is_ok else "failed", one.said] for one in looked]
    table(("item", "state", "said"), rows, empty=f"nothing of {name} was looked at: dct item add")


@app.command("list")
def list_all(json_output: Json = False) -> None:
    """Every connection: how it stands, how far behind it is, its calls and what is left of them."""
    from dct_pipelines.cli.output import print_json, table
    from dct_pipelines.cli.session import catalog_of, services
    from dct_pipelines.domain.words import Kind

    with services() as services_:
        found = services_.connections.standings()
        stored = {one.name: row_of(one) for one in catalog_of(services_).every(Kind.CONNECTION)}
    if json_output:
        print_json([{**stored[one.name], **_plain(one)} for one in found if one.name in stored])
        return
    columns = ("name", "type", "base", "state", "lag", "calls", "left", "next_due_at", "items", "detail")
    table(columns, [_shown(one) for one in found], empty="no connection is defined yet: dct connection add")


def _plain(one: Standing) -> dict[str, Any]:
    standing = asdict(one)
    standing.pop("kind")
    return {**standing, "calls": one.calls, "calls_before": one.calls_before}


def _shown(one: Standing) -> list[Any]:
    lag = f"{one.lag_seconds:.0f} s" if one.lag_seconds is not None else "never read"
    detail = [one.detail] if one.detail else []
    detail += [f"{one.unreadable} items cannot be read"] if one.unreadable else []
    detail += [f"{one.letters} letters"] if one.letters else []
    calls = f"{one.calls} this minute, {one.calls_before} before"
    shown = (one.name, one.kind, one.base, one.state, lag, calls, one.left(), one.next_due_at, one.items)
    return [*shown, "; ".join(detail)]


@app.command("letters")
def letters(
    name: Name,
    discard: Annotated[
        list[str] | None, typer.Option("--discard", metavar="ID", help="Forget this one. May be repeated.")
    ] = None,
    by: As = LOCAL,
    json_output: Json = False,
) -> None:
    """What came from a connection and could not be understood, as it came; the rest was taken in."""
    from dct_pipelines.cli.output import print_json, say, short, table
    from dct_pipelines.cli.session import services

    with services() as services_:
        count = services_.connections.discard(name, discard, by) if discard else 0
        found = services_.connections.letters(name)
    if json_output:
        print_json({"discarded": count, "letters": list(map(asdict, found))})
        return
    if discard:
        say(f"{count} discarded")
    rows = [
        [short(one.id), one.item, one.why, one.count, one.last_received_at, one.raw[:120]] for one in found
    ]
    table(("id", "item", "why", "count", "last", "begins with"), rows, empty=f"{name} has no dead letters")


@app.command("pause")
def pause(names: Names, by: As = LOCAL, json_output: Json = False) -> None:
    """Read connections no more, until they are resumed; triggers and what they have started go on."""
    _switch(names, by, is_enabled=False, json_output=json_output)


@app.command("resume")
def resume(names: Names, by: As = LOCAL, json_output: Json = False) -> None:
    """Read connections again, at once; what happened meanwhile is found."""
    _switch(names, by, is_enabled=True, json_output=json_output)


def _switch(names: list[str], by: str, *, is_enabled: bool, json_output: bool) -> None:
    from dct_pipelines.cli.output import print_json, say
    from dct_pipelines.cli.session import services

    with services() as services_:
        switched = services_.connections.switch(names, by, is_enabled=is_enabled)
    state = "resumed" if is_enabled else "paused"
    if json_output:
        print_json({state: switched})
        return
    for name in dict.fromkeys(names):
        say(f"{name} {state}" if name in switched else f"{name} was {state} already")
