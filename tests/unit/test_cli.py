"""The command line without a database: help, schema, exit codes, and how errors look."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import typer
from ruamel.yaml import YAML

from dct_pipelines import registry
from dct_pipelines.cli.main import app, main
from dct_pipelines.cli.output import clean
from dct_pipelines.cli.parts import MODULES
from dct_pipelines.cli.up import until_signal
from dct_pipelines.cli.yaml_text import to_yaml
from dct_pipelines.engine.manifests.schema import manifest_schema
from tests.support.command_line import loaded

HEAVY = frozenset(
    "dagster sqlalchemy alembic psycopg2 httpx ruamel dct_pipelines.bootstrap dct_pipelines.registry "
    "dct_pipelines.domain.manifest".split()
)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command as it is typed, e.g. `trigger apply`."""

    def below(group: Any, typed: str) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            path = f"{typed} {name}".strip()
            if hasattr(command, "commands"):
                yield from below(command, path)
            else:
                yield path, command

    yield from below(typer.main.get_command(app), "")


def test_the_commands_of_the_product_are_there():
    wanted = """
        up apply status explain schema listener_start engine_start monitor_start
        db_migrate db_verify db_optimize db_stop
        connection_add connection_list connection_check connection_letters
        connection_pause connection_resume item_add item_list item_show
        trigger_apply trigger_export trigger_list trigger_show trigger_pause trigger_resume trigger_delete
        trigger_simulate execution_list execution_show execution_cancel execution_retry
        environment_apply environment_list environment_show suite_apply suite_list suite_show
        draft_apply draft_list draft_show channel_apply channel_list channel_show
    """.split()
    assert {one.replace("_", " ") for one in wanted} <= {path for path, _ in commands()}


def test_help_loads_nothing_heavy():
    assert not loaded("--help") & HEAVY


def test_a_command_loads_no_other_one():
    of_parts = {f"dct_pipelines.cli.{place.partition(':')[0]}" for place in MODULES.values()}
    assert not loaded("--version") & of_parts
    assert loaded("status", "--help") & of_parts == {"dct_pipelines.cli.status"}


def test_an_unknown_command_is_invalid_input(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["triger", "list"])
    assert ended.value.code == 2
    assert "trigger" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["trigger", "lst"], "Did you mean 'list'"),
        (["trigger", "list", "--nope"], "--nope"),
        (["trigger", "list", "--status", "sleeping"], "'paused'"),
        (["apply"], "--file"),
    ],
)
def test_a_wrong_option_is_told_as_json_to_whoever_asked_for_json(
    typed: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        main([*typed, "--json"])
    printed = capsys.readouterr()
    told = json.loads(printed.err)
    assert (ended.value.code, told["exit_code"], told["error"], printed.out) == (2, 2, "InvalidInput", "")
    assert said in told["message"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whatever_asks_us_to_end_is_heard(number: signal.Signals):
    found = signal.signal(number, signal.default_int_handler)
    try:
        with until_signal() as stop:
            assert not stop.is_set()
            signal.raise_signal(number)
            assert stop.is_set()
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, found)


def test_a_hang_up_that_nohup_ignores_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with until_signal() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_wrong_setting_is_explained_with_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DCT_DATABASE_ULR", "x")
    with pytest.raises(SystemExit) as ended:
        main(["trigger", "list"])
    assert ended.value.code == 2
    assert "did you mean DCT_DATABASE_URL" in capsys.readouterr().err


def test_a_database_that_does_not_answer_is_exit_code_4(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DCT_DATABASE_URL", "postgresql://me:hunter2@127.0.0.1:1/nothing")
    with pytest.raises(SystemExit) as ended:
        main(["trigger", "list", "--json"])
    told = json.loads(capsys.readouterr().err)
    assert (ended.value.code, told["exit_code"], told["error"]) == (4, 4, "DatabaseUnavailable")
    assert "hunter2" not in told["message"]


def test_faults_of_manifests_are_told_before_any_database_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "broken.yaml").write_text("kind: [\n")
    with pytest.raises(SystemExit) as ended:
        main(["apply", "-f", str(tmp_path), "--json"])
    told = json.loads(capsys.readouterr().err)
    assert ended.value.code == 2
    assert [fault["file"] for fault in told["faults"]] == [str(tmp_path / "broken.yaml")]


def test_what_comes_from_outside_cannot_steer_the_terminal():
    assert clean("a\x1b[31mb\nc\x07") == "a [31mb c "


def test_exported_texts_of_several_lines_stay_readable_and_the_same():
    data = {"kind": "draft", "instructions": "First.\nThen.\n", "title": "x: {{ y }}", "tags": ["on", "1"]}
    text = to_yaml([data])
    assert "|\n" in text
    assert YAML(typ="safe").load(text) == data


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    jsonschema.Draft202012Validator.check_schema(manifest_schema())
    return jsonschema.Draft202012Validator(manifest_schema())


def trigger(**parts: Any) -> dict[str, Any]:
    """A trigger's manifest around the example configurations of all plug-ins."""
    conditions = [{"type": one.kind, "config": dict(one.example)} for one in registry.conditions().values()]
    actions = [{"type": one.kind, "config": dict(one.example)} for one in registry.actions().values()]
    given = {"kind": "trigger", "name": "x", "items": ["app"], "conditions": conditions, "actions": actions}
    return given | parts


def test_the_schema_accepts_every_plugins_example(schema: jsonschema.Draft202012Validator):
    assert list(schema.iter_errors(trigger())) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"priority": 11},
        {"prioritty": 1},
        {"conditions": [{"type": "branch_redy"}]},
        {"conditions": [{"type": "branch_ready", "config": {"brnch": "x", "branch": "y"}}]},
        {"actions": [{"type": "merge_branches", "config": {"source": "x"}}]},
        {"kind": "triger"},
    ],
)
def test_the_schema_refuses_what_apply_refuses(
    schema: jsonschema.Draft202012Validator, wrong: dict[str, Any]
):
    assert list(schema.iter_errors(trigger(**wrong)))


def test_the_schema_tells_the_forms_of_a_channel_apart(schema: jsonschema.Draft202012Validator):
    assert not list(schema.iter_errors({"kind": "channel", "name": "files", "type": "outbox"}))
    assert list(schema.iter_errors({"kind": "channel", "name": "files", "type": "pigeon"}))


def test_no_command_makes_a_deployment_where_no_project_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["status"])
    assert ended.value.code == 2
    assert "there is no dagster.yaml" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
