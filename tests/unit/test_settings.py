"""The environment, read once: defaults, names, and messages for what is wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.bootstrap.alerting import pace, thresholds
from dct_pipelines.domain.errors import InvalidSetting
from dct_pipelines.domain.incidents import Pace, Thresholds
from dct_pipelines.settings import Isolation, environment, load_settings, variable_names


def test_an_empty_environment_gives_the_documented_defaults(tmp_path: Path) -> None:
    settings = load_settings({"DAGSTER_HOME": str(tmp_path)})
    assert settings.project_root == tmp_path
    assert settings.home == tmp_path / ".dct"
    assert settings.database_url is None
    assert settings.isolation is Isolation.AUTO
    assert settings.trigger_polling_min_interval_ms == 5000
    assert settings.trigger_max_concurrent_executions == 50
    assert settings.max_concurrent_agents == 100
    assert settings.max_concurrent_workspaces == 200
    assert settings.priority_agent_reservation_percent == 30
    assert settings.trigger_resource_limits_enabled
    assert settings.unused == ()


def test_the_root_is_the_nearest_directory_with_a_dagster_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").touch()
    deeper = tmp_path / "a" / "b"
    deeper.mkdir(parents=True)
    monkeypatch.chdir(deeper)
    assert load_settings({}).home == tmp_path / ".dct"


def test_the_root_is_the_working_directory_when_there_is_no_dagster_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings({}).project_root == tmp_path


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+psycopg2"])
def test_a_database_url_always_names_our_driver(tmp_path: Path, scheme: str) -> None:
    url = f"{scheme}://dev:p%40ss@db.example/dct"
    settings = load_settings({"DAGSTER_HOME": str(tmp_path), "DCT_DATABASE_URL": url})
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql+psycopg2://dev:p%40ss@db.example/dct"


@given(password=st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=12, max_size=20))
def test_a_secret_never_shows_in_a_settings_text_or_in_a_fault(password: str) -> None:
    good = load_settings({"DAGSTER_HOME": "/", "DCT_DATABASE_URL": f"postgresql://a:{password}@h/d"})
    assert password not in repr(good)
    assert password not in good.model_dump_json()
    with pytest.raises(InvalidSetting) as fault:
        load_settings({"DAGSTER_HOME": "/", "DCT_DATABASE_URL": f"mysql://a:{password}@h/d"})
    assert password not in str(fault.value)


def test_an_unknown_name_of_ours_is_answered_with_the_nearest_known_one(tmp_path: Path) -> None:
    with pytest.raises(
        InvalidSetting, match="DCT_DATABSE_URL is not a setting; did you mean DCT_DATABASE_URL"
    ):
        load_settings({"DAGSTER_HOME": str(tmp_path), "DCT_DATABSE_URL": "postgresql://h/d"})


def test_every_fault_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting) as fault:
        load_settings(
            {
                "DAGSTER_HOME": str(tmp_path),
                "TRIGGER_POLLING_MIN_INTERVAL": "1000",
                "PRIORITY_AGENT_RESERVATION_PERCENT": "130",
                "DCT_ISOLATION": "maybe",
                "DCT_HOEM": "x",
            }
        )
    assert str(fault.value).splitlines() == [
        "DCT_HOEM is not a setting; did you mean DCT_HOME?",
        "DCT_ISOLATION should be 'auto', 'required' or 'none'",
        "TRIGGER_POLLING_MIN_INTERVAL should be greater than or equal to 5000",
        "PRIORITY_AGENT_RESERVATION_PERCENT should be less than or equal to 100",
    ]


def test_a_dotenv_file_is_read_and_the_environment_wins(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(
        "MAX_CONCURRENT_AGENTS=7\nMAX_CONCURRENT_WORKSPACES=9\nJIRA_TOKEN_OF_ANN=abc\n"
    )
    given = {"DAGSTER_HOME": str(tmp_path), "MAX_CONCURRENT_WORKSPACES": "11"}
    settings = load_settings(given)
    assert (settings.max_concurrent_agents, settings.max_concurrent_workspaces) == (7, 11)
    assert environment(given)["JIRA_TOKEN_OF_ANN"] == "abc"


def test_an_unknown_name_in_a_dotenv_file_is_a_fault_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DCT_ISOLATE=auto\n")
    with pytest.raises(InvalidSetting, match="did you mean DCT_ISOLATION"):
        load_settings({"DAGSTER_HOME": str(tmp_path)})


def test_a_dotenv_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\xfe")
    with pytest.raises(InvalidSetting, match=r"\.env cannot be read"):
        load_settings({"DAGSTER_HOME": str(tmp_path)})


def test_empty_values_count_as_unset(tmp_path: Path) -> None:
    settings = load_settings(
        {"DAGSTER_HOME": str(tmp_path), "DCT_DATABASE_URL": "", "MAX_CONCURRENT_AGENTS": ""}
    )
    assert settings.database_url is None
    assert settings.max_concurrent_agents == 100


def test_redis_is_accepted_and_reported_as_unused(tmp_path: Path) -> None:
    settings = load_settings({"DAGSTER_HOME": str(tmp_path), "REDIS_URL": "redis://:secret@cache/0"})
    assert settings.unused == (
        "REDIS_URL is not used: executions wait in the database and in Dagster's run queue, without Redis",
    )


def test_names_that_deployments_already_use_are_kept() -> None:
    assert set(variable_names()) >= {
        "TRIGGER_POLLING_MIN_INTERVAL",
        "TRIGGER_MAX_CONCURRENT_EXECUTIONS",
        "TRIGGER_RESOURCE_LIMITS_ENABLED",
        "MAX_CONCURRENT_AGENTS",
        "MAX_CONCURRENT_WORKSPACES",
        "PRIORITY_AGENT_RESERVATION_PERCENT",
        "JIRA_API_TOKEN",
        "SLACK_BOT_TOKEN",
        "EMAIL_SERVICE_KEY",
        "GIT_INTEGRATION_TOKEN",
        "ENABLE_TRIGGER_METRICS",
        "METRICS_RETENTION_DAYS",
        "ALERT_WEBHOOK_URL",
        "REDIS_URL",
        "REDIS_QUEUE_DB",
    }


def test_traces_go_below_the_collectors_address_ours_before_opentelemetrys(tmp_path: Path) -> None:
    given = {"DAGSTER_HOME": str(tmp_path), "OTEL_EXPORTER_OTLP_ENDPOINT": "http://there:4318/"}
    assert load_settings(given).traces_endpoint == "http://there:4318/v1/traces"
    ours = given | {"DCT_OTLP_ENDPOINT": "https://here/otlp"}
    assert load_settings(ours).traces_endpoint == "https://here/otlp/v1/traces"
    assert load_settings({"DAGSTER_HOME": str(tmp_path)}).traces_endpoint is None


def test_headers_for_the_collector_are_read_as_opentelemetry_writes_them(tmp_path: Path) -> None:
    text = "authorization=Bearer%20abc%3D, x-team=qa"
    settings = load_settings({"DAGSTER_HOME": str(tmp_path), "OTEL_EXPORTER_OTLP_HEADERS": text})
    assert settings.otlp_headers == {"authorization": "Bearer abc=", "x-team": "qa"}
    assert "abc" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DCT_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "secret-without-a-name"),
        ("DCT_METRICS_PORT", "0"),
        ("DCT_LOG_FORMAT", "xml"),
    ],
)
def test_what_cannot_be_used_for_observing_is_named_without_its_value(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(InvalidSetting, match=name) as fault:
        load_settings({"DAGSTER_HOME": str(tmp_path), name: value})
    assert value not in str(fault.value) or value in ("0", "xml")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DCT_ALERT_INTERVAL_SECONDS", "4"),
        ("DCT_ALERT_INTERVAL_SECONDS", "121"),
        ("DCT_ALERT_WINDOW_SECONDS", "9"),
    ],
)
def test_alerts_are_neither_looked_at_all_the_time_nor_hardly_ever(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(InvalidSetting, match=name):
        load_settings({"DAGSTER_HOME": str(tmp_path), name: value})


def test_failures_are_counted_over_two_looks_at_least(tmp_path: Path) -> None:
    given = {"DCT_ALERT_INTERVAL_SECONDS": "60", "DCT_ALERT_WINDOW_SECONDS": "30"}
    assert pace(load_settings({"DAGSTER_HOME": str(tmp_path)} | given)).window == timedelta(minutes=2)
    assert pace(load_settings({"DAGSTER_HOME": str(tmp_path)})) == Pace()
    assert thresholds(load_settings({"DAGSTER_HOME": str(tmp_path)})) == Thresholds()
