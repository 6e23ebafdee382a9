"""`dct connection|item|environment|suite|channel|draft`: what triggers refer to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dct_pipelines.cli.options import LOCAL, As, DryRun, Files, Json

if TYPE_CHECKING:
    from dct_pipelines.store.definitions.shelves import Stored

Name = Annotated[str, typer.Argument(help="Its name: lower-case letters, digits, - and _.")]
Names = Annotated[list[str] | None, typer.Argument(help="All when none is named.")]
HELP = {
    "connection": "Accounts at providers, with their credential by reference and their health.",
    "item": "The context library: what is watched, and what workspaces get to read.",
    "environment": "Deploy targets: which branch they run and the operator's command that deploys.",
    "suite": "Test suites: an operator's command, and where its JUnit XML is.",
    "channel": "Ways to tell people: Slack, mail, signed webhooks, the file outbox.",
    "draft": "Templates of workspaces.",
}
COLUMNS: dict[str, tuple[str, ...]] = {
    "item": ("type", "connection", "location", "title"),
    "environment": ("repository", "branch", "current_commit", "merged_from", "running_since"),
    "suite": ("command", "junit", "description"),
    "channel": ("type", "url", "host", "receivers"),
    "draft": ("title", "repository", "branch", "suites"),
}


def _app(word: str) -> typer.Typer:
    """The commands that every kind has; connections have a list of their own."""
    app = typer.Typer(help=HELP[word], no_args_is_help=True)

    @app.command("apply", help=f"Create or update each {word} of the manifests; other kinds are left alone.")
    def apply(file: Files, dry_run: DryRun = False, by: As = LOCAL, json_output: Json = False) -> None:
        from dct_pipelines.cli.apply import apply_files
        from dct_pipelines.domain.words import Kind

        apply_files(file, only={Kind(word)}, dry_run=dry_run, by=by, json_output=json_output)

    if word in COLUMNS:

        @app.command("list", help=f"Every {word} that is defined.")
        def list_all(json_output: Json = False) -> None:
            list_definitions(word, json_output)

    @app.command("show", help=f"One {word}: its definition, what became of it, and who changed it.")
    def show(name: Name, json_output: Json = False) -> None:
        show_definition(word, name, json_output)

    @app.command("export", help=f"Print each {word} (or those named) as a manifest.")
    def export(names: Names = None, json_output: Json = False) -> None:
        export_definitions(word, names or [], json_output)

    return app


def list_definitions(word: str, json_output: bool) -> None:
    """Print every definition of a kind."""
    from dct_pipelines.cli.output import print_json, table
    from dct_pipelines.cli.session import catalog_of, services
    from dct_pipelines.domain.words import Kind

    with services() as app:
        found = [row_of(stored) for stored in catalog_of(app).every(Kind(word))]
    if json_output:
        print_json(found)
        return
    columns = ("name", *COLUMNS[word])
    rows = [[one.get(column) for column in columns] for one in found]
    table(columns, rows, empty=f"no {word} is defined yet: dct {word} apply -f FILE")


def row_of(stored: Stored) -> dict[str, Any]:
    """A definition and its state as one flat row."""
    return {"id": stored.id, **stored.spec, **stored.state, "created_by": stored.created_by}


def show_definition(word: str, name: str, json_output: bool) -> None:
    """Print one definition as its manifest, then what became of it and who changed it."""
    from dct_pipelines.cli.output import facts, print_json, table
    from dct_pipelines.cli.session import catalog_of, services
    from dct_pipelines.cli.yaml_text import to_yaml
    from dct_pipelines.domain.manifest import FORMS
    from dct_pipelines.domain.words import Kind
    from dct_pipelines.engine.manifests.models import models_in

    with services() as app:
        catalog = catalog_of(app)
        shown, manifests = catalog.show(Kind(word), name), catalog.export(Kind(word), [name])
    if json_output:
        print_json(shown)
        return
    written = {key for model in models_in(FORMS[Kind(word)]) for key in model.model_fields} - {"status"}
    typer.echo(to_yaml(manifests))
    facts(
        {key: value for key, value in shown.items() if key not in {"kind", "changes", "versions", *written}}
    )
    rows = [
        [one["version"], one["status"], one["created_at"], one["created_by"], one["reason"]]
        for one in shown.get("versions", ())
    ]
    if rows:
        table(("version", "status", "since", "by", "reason"), rows, empty="")
    rows = [[one["at"], one["actor"], one["verb"], _paths(one["detail"])] for one in shown["changes"]]
    table(("changed at", "by", "change", "what"), rows, empty="no change was noted")


def _paths(detail: dict[str, Any]) -> str:
    listed = [one["path"] for one in detail.get("differences", [])]
    return ", ".join(listed[:8]) + (" …" if len(listed) > 8 else "")


def export_definitions(word: str, names: list[str], json_output: bool) -> None:
    """Print definitions as manifests that can be applied again."""
    from dct_pipelines.cli.output import print_json
    from dct_pipelines.cli.session import catalog_of, services
    from dct_pipelines.cli.yaml_text import to_yaml
    from dct_pipelines.domain.words import Kind

    with services() as app:
        manifests = catalog_of(app).export(Kind(word), names)
    if json_output:
        print_json(manifests)
    else:
        typer.echo(to_yaml(manifests), nl=False)


APPS = {word: _app(word) for word in HELP}


@APPS["item"].command("add")
def add_item(
    name: Name,
    location: Annotated[str, typer.Option(help="Path or URL, relative to the connection's base.")],
    connection: Annotated[str | None, typer.Option(help="The connection that it is read through.")] = None,
    type_: Annotated[str, typer.Option("--type", help="Its kind.")] = "git_repository",
    title: Annotated[str, typer.Option(help="What people call it.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="A tag; may be repeated.")] = None,
    by: As = LOCAL,
    json_output: Json = False,
) -> None:
    """Add an item to the context library, or change the one of that name."""
    given = {
        "name": name,
        "type": type_,
        "connection": connection,
        "location": location,
        "title": title or None,
        "tags": tag,
    }
    _add("item", given, by, json_output)


def _add(word: str, given: dict[str, Any], by: str, json_output: bool) -> None:
    from dct_pipelines.cli.apply import apply_documents
    from dct_pipelines.domain.words import Kind
    from dct_pipelines.engine.manifests import Document

    data = {"kind": word} | {key: value for key, value in given.items() if value is not None}
    document = Document("command line", data, Path.cwd())
    apply_documents([document], only={Kind(word)}, by=by, json_output=json_output)
