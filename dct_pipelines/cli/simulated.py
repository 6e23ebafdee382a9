"""What `dct trigger simulate` and `rehearse` share: the triggers asked for, and a rehearsal as a table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dct_pipelines.domain.errors import InvalidInput

if TYPE_CHECKING:
    from dct_pipelines.bootstrap import App
    from dct_pipelines.domain.trigger import TriggerSpec
    from dct_pipelines.engine.rehearse import Rehearsal


def specs_to_simulate(app: App, name: str | None, file: str | None) -> list[TriggerSpec]:
    """The stored trigger of that name, or the triggers of the file (or the one of that name in it)."""
    from dct_pipelines.cli.apply import read
    from dct_pipelines.cli.options import LOCAL
    from dct_pipelines.cli.session import catalog_of
    from dct_pipelines.domain.trigger import TriggerSpec
    from dct_pipelines.domain.words import Kind
    from dct_pipelines.engine.manage import Wanted

    if file is None:
        if name is None:
            raise InvalidInput("name a stored trigger, or a file of triggers with --file")
        [manifest] = catalog_of(app).export(Kind.TRIGGER, [name])
        manifest.pop("kind")
        manifest.pop("status", None)
        return [TriggerSpec.model_validate(manifest)]
    wanted = Wanted(read([Path(file)]), LOCAL, frozenset({Kind.TRIGGER}))
    specs = [manifest.spec.spec for manifest in app.manager.check(wanted).manifests]
    chosen = [spec for spec in specs if name in (None, spec.name)]
    if not chosen:
        raise InvalidInput(
            f"there is no trigger {name!r} in {file}" if name else f"there is no trigger in {file}"
        )
    return chosen


def show_rehearsal(answer: Rehearsal) -> None:
    """A rehearsal as a table of its actions."""
    from dct_pipelines.cli.output import say, table
    from dct_pipelines.domain.story import describe

    say(f"{answer.trigger}, about {describe(answer.event)}: {answer.because}")
    rows = [
        (step.name, "failed" if step.error else "done", step.error or step.would) for step in answer.steps
    ]
    table(("action", "state", "it would"), rows, empty="it has no action")
