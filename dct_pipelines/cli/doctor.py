"""`dct doctor`: looks at everything, changes nothing, and says how to mend what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from dct_pipelines.cli.options import Json

if TYPE_CHECKING:
    from dct_pipelines.bootstrap import App
    from dct_pipelines.domain.diagnosis import Diagnosis
    from dct_pipelines.engine.doctor import Patient


def doctor(
    online: Annotated[
        bool, typer.Option("--online", help="Also ask each connection's provider, which takes longer.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only what is not well.")] = False,
    json_output: Json = False,
) -> None:
    """Check everything, one line each: what is wrong, and how to mend it. Changes nothing.

    Works with and without `dct up`, and when the database is away. Exit code 1 when something fails.
    """
    from dct_pipelines.cli.output import print_json
    from dct_pipelines.domain.diagnosis import Level

    found = list(_found(online=online))
    fails = any(one.level is Level.FAIL for one in found)
    shown = [one for one in found if not quiet or one.level is not Level.OK]
    if json_output:
        print_json({"is_well": not fails, "findings": shown})
    else:
        _show(shown)
        _count(found)
    if fails:
        raise typer.Exit(1)


def _found(*, online: bool) -> Iterable[Diagnosis]:
    """What the examination finds; settings that are wrong are all there is to say."""
    from dct_pipelines.bootstrap import build
    from dct_pipelines.domain.diagnosis import Diagnosis, Level
    from dct_pipelines.domain.errors import InvalidSetting
    from dct_pipelines.engine.doctor import Examination
    from dct_pipelines.settings import load_settings

    try:
        app = build(load_settings())
    except InvalidSetting as error:
        mend = "correct it in the environment or `.env`; docs/reference/settings.md lists every setting"
        for line in str(error).splitlines():
            yield Diagnosis(theme="project", level=Level.FAIL, says=line, mend=mend)
        yield Diagnosis(
            theme="project",
            level=Level.WARN,
            says="nothing else was looked at, because the settings say where the home and the database are",
            mend="correct them, and call the doctor again",
        )
        return
    try:
        yield from Examination(patient_of(app, online=online)).findings()
    finally:
        app.database.dispose()


def patient_of(app: App, *, online: bool) -> Patient:
    """What there is to be looked at with these services; `online` lets providers be asked."""
    from dct_pipelines.engine.doctor import Patient
    from dct_pipelines.instance.heartbeats import DaemonHeartbeats

    return Patient(
        settings=app.settings,
        database=app.database,
        clock=app.outside.clock,
        processes=app.outside.processes,
        secrets=app.outside.secrets,
        daemons=DaemonHeartbeats(app.database),
        quotas=app.settings.quotas,
        buildable_jobs=app.buildable_jobs,
        broken_triggers=app.broken_triggers,
        workspaces=app.outside.workspaces,
        destinations=app.alerts.destinations,
        ask=(lambda stored: app.connections.check(stored.spec)) if online else None,
    )


def _show(found: Iterable[Diagnosis]) -> None:
    from dct_pipelines.cli.output import say
    from dct_pipelines.domain.diagnosis import Level

    styles = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}
    for one in found:
        mend = f" → {one.mend}" if one.mend else ""
        say(f"{one.level:<4}  {one.theme}: {one.says}{mend}", styles[one.level] if one.mend else "")


def _count(found: Iterable[Diagnosis]) -> None:
    from collections import Counter

    from dct_pipelines.cli.output import say
    from dct_pipelines.domain.diagnosis import Level

    count = Counter(one.level for one in found)
    say(f"{count[Level.OK]} ok, {count[Level.WARN]} to look at, {count[Level.FAIL]} failed")
