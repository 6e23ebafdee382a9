"""`dct apply`, and what every other `apply` does: manifests in, changes out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dct_pipelines.cli.options import DEFAULT_SET, LOCAL, As, DryRun, Files, Json, Prune, Set

if TYPE_CHECKING:
    from dct_pipelines.domain.words import Kind
    from dct_pipelines.engine.manage import ApplyReport, Change
    from dct_pipelines.engine.manifests import Document


def apply(
    file: Files,
    dry_run: DryRun = False,
    prune: Prune = False,
    applied_set: Set = DEFAULT_SET,
    by: As = LOCAL,
    json_output: Json = False,
) -> None:
    """Bring what is stored to what manifests say, of every kind, in the order of their dependence.

    Everything is checked before anything is written: each fault is reported with its file, line and
    path, and then nothing is stored (exit code 2). Applying the same manifests again changes nothing.
    """
    apply_files(file, dry_run=dry_run, prune=prune, applied_set=applied_set, by=by, json_output=json_output)


def apply_files(
    files: Sequence[Path],
    *,
    only: Collection[Kind] | None = None,
    dry_run: bool,
    prune: bool = False,
    applied_set: str = DEFAULT_SET,
    by: str,
    json_output: bool,
) -> None:
    """Read, check and apply; print the report."""
    apply_documents(
        read(files),
        only=only,
        dry_run=dry_run,
        prune=prune,
        applied_set=applied_set,
        by=by,
        json_output=json_output,
    )


def read(files: Sequence[Path]) -> list[Document]:
    """The documents of the files, or `InvalidManifests` if one cannot be read."""
    from dct_pipelines.engine.manifests import InvalidManifests, read_documents

    documents, faults = read_documents(files)
    if faults:
        raise InvalidManifests(faults)
    return documents


def apply_documents(
    documents: Sequence[Document],
    *,
    only: Collection[Kind] | None = None,
    dry_run: bool = False,
    prune: bool = False,
    applied_set: str = DEFAULT_SET,
    by: str,
    json_output: bool,
) -> None:
    """Check and apply; print the report."""
    from dct_pipelines.cli.output import print_json
    from dct_pipelines.cli.session import services
    from dct_pipelines.domain.words import Kind
    from dct_pipelines.engine.manage import Wanted

    with services() as app:
        wanted = Wanted(documents, by, frozenset(only or Kind), prune, applied_set)
        report = app.manager.apply(wanted, dry_run=dry_run)
    if json_output:
        print_json(report.as_data())
    else:
        show(report)


def show(report: ApplyReport) -> None:
    """Print each definition with what became of it, and what differs."""
    from dct_pipelines.cli.output import STYLES, say

    for change in report.changes:
        say(f"{_mark(change)} {change.kind} {change.name}", STYLES.get(change.verb.value, "dim"))
        if change.verb.value == "update":
            for path, before, after in change.differences():
                say(f"      {path}: {_told(before)} → {_told(after)}")
    for warning in report.warnings:
        say(f"warning: {warning}", "yellow")
    for job in report.new_jobs:
        say(f"job {job} is new; executions that need it wait (job_loading) until it is loaded, by itself")
    say(str(report))


def _mark(change: Change) -> str:
    return {"create": "  +", "update": "  ~", "delete": "  -"}.get(change.verb.value, "   ")


def _told(value: object) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 100 else f"{text[:99]}…"
