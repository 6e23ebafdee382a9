"""Every environment variable, once: its name, type, unit, default, and what is wrong with a bad value.

Nothing is read when this module is imported. `load_settings` lays the process's environment over the `.env`
file of the project's root. Names without the prefix `DCT_` are those that deployments already use.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import unquote

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails

from dct_pipelines.domain.errors import InvalidSetting
from dct_pipelines.domain.quotas import Quota, Quotas

PREFIX = "DCT_"
PROJECT_MARK = "dagster.yaml"
DRIVER = "postgresql+psycopg2"

QUOTA_SETTINGS: Mapping[Quota, str] = {
    Quota.EXECUTIONS: "TRIGGER_MAX_CONCURRENT_EXECUTIONS",
    Quota.AGENTS: "MAX_CONCURRENT_AGENTS",
    Quota.AGENT_RESERVATION_PERCENT: "PRIORITY_AGENT_RESERVATION_PERCENT",
    Quota.WORKSPACES: "MAX_CONCURRENT_WORKSPACES",
}
"""Which setting counts where operators have set nothing."""

Count = Annotated[int, Field(ge=1)]
Port = Annotated[int, Field(ge=1, le=65535)]
NotNegative = Annotated[int, Field(ge=0)]
Percent = Annotated[int, Field(ge=0, le=100)]


class Isolation(StrEnum):
    """How child processes are kept away from our database socket and secrets."""

    AUTO = "auto"
    """The strongest that this machine offers; status and doctor say which."""
    REQUIRED = "required"
    """Refuse to start a child process that cannot be isolated."""
    NONE = "none"
    """Only an allow-listed environment and a process group of its own."""


class LogFormat(StrEnum):
    """How processes write their logs."""

    TEXT = "text"
    JSON = "json"


class Settings(BaseModel):
    """What the environment says, checked and frozen. Paths are absolute; secrets do not print themselves."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    RETIRED: ClassVar[Mapping[str, str]] = {
        name: f"{name} is not used: executions wait in the database and in Dagster's run queue, without Redis"
        for name in ("REDIS_URL", "REDIS_QUEUE_DB")
    }

    project_root: Path = Field(alias="DAGSTER_HOME")
    """The directory of `dagster.yaml`; Dagster finds its instance there too."""
    home: Path = Field(alias="DCT_HOME")
    """What is kept on disk: embedded database, git cache, workspaces. Default: `.dct/` in the root."""
    database_url: SecretStr | None = Field(None, alias="DCT_DATABASE_URL")
    """A PostgreSQL server of one's own, as `postgresql+psycopg2://`; unset: the embedded one in `home`."""
    isolation: Isolation = Field(Isolation.AUTO, alias="DCT_ISOLATION")
    statement_timeout_seconds: Count = Field(60, alias="DCT_STATEMENT_TIMEOUT_SECONDS")
    """After this long the database gives up one statement of ours."""
    database_pool_size: Count = Field(5, alias="DCT_DATABASE_POOL_SIZE")
    """Connections that one process keeps open to the database; three times as many under load."""

    trigger_polling_min_interval_ms: int = Field(5000, alias="TRIGGER_POLLING_MIN_INTERVAL", ge=5000)
    """No connection is asked more often. Dagster's sensor loop itself turns every 5 s, hence the floor."""
    trigger_max_concurrent_executions: Count = Field(50, alias="TRIGGER_MAX_CONCURRENT_EXECUTIONS")
    trigger_resource_limits_enabled: bool = Field(True, alias="TRIGGER_RESOURCE_LIMITS_ENABLED")
    max_concurrent_agents: Count = Field(100, alias="MAX_CONCURRENT_AGENTS")
    max_concurrent_workspaces: Count = Field(200, alias="MAX_CONCURRENT_WORKSPACES")
    priority_agent_reservation_percent: Percent = Field(30, alias="PRIORITY_AGENT_RESERVATION_PERCENT")
    """Share of the agents that only triggers of priority 8 and more may use."""
    ageing_step_seconds: float = Field(300, alias="DCT_AGEING_STEP_SECONDS", gt=0)
    """After each of these a waiting execution counts as one priority higher, so that nothing starves."""

    jira_api_token: SecretStr | None = Field(None, alias="JIRA_API_TOKEN")
    slack_bot_token: SecretStr | None = Field(None, alias="SLACK_BOT_TOKEN")
    email_service_key: SecretStr | None = Field(None, alias="EMAIL_SERVICE_KEY")
    git_integration_token: SecretStr | None = Field(None, alias="GIT_INTEGRATION_TOKEN")

    run_retention_days: Count = Field(30, alias="DCT_RUN_RETENTION_DAYS")
    """Dagster's runs of executions are kept so long after they ended. Our own tables keep what happened."""

    enable_trigger_metrics: bool = Field(True, alias="ENABLE_TRIGGER_METRICS")
    metrics_since: date = Field(date(2026, 1, 1), alias="DCT_METRICS_SINCE")
    """Metrics have partitions from this day of UTC on."""
    metrics_retention_days: Count = Field(90, alias="METRICS_RETENTION_DAYS")
    """Executions, events, decisions and what belongs to them are kept so long; aggregates stay."""
    key_retention_days: Count = Field(730, alias="DCT_KEY_RETENTION_DAYS")
    """The keys that guard against taking or doing something twice are kept so long."""
    workspace_idle_days: Count = Field(14, alias="DCT_WORKSPACE_IDLE_DAYS")
    """A workspace in which nothing was done for so long is idle."""
    workspace_notice_days: Count = Field(3, alias="DCT_WORKSPACE_NOTICE_DAYS")
    """So long after that was said, an idle workspace is archived."""
    alert_webhook_url: SecretStr | None = Field(None, alias="ALERT_WEBHOOK_URL")
    """Secret because such addresses carry their token."""
    alert_webhook_secret: SecretStr | None = Field(None, alias="DCT_ALERT_WEBHOOK_SECRET")
    """What posts to that address are signed with."""
    alert_channels: str | None = Field(None, alias="DCT_ALERT_CHANNELS")
    """Channels of manifests that are told too, `name` or `name:receiver`, separated by commas."""
    alert_interval_seconds: int = Field(60, alias="DCT_ALERT_INTERVAL_SECONDS", ge=5, le=120)
    """Dagster's sensor loop turns every 5 s; what was suspected is forgotten after 5 min without a look."""
    alert_window_seconds: int = Field(300, alias="DCT_ALERT_WINDOW_SECONDS", ge=10, le=600)
    """So far back failures and timeouts count; never less than two looks."""
    alert_settle_seconds: NotNegative = Field(120, alias="DCT_ALERT_SETTLE_SECONDS")
    """An incident ends after it has been well for so long."""
    alert_failure_percent: Percent = Field(10, alias="DCT_ALERT_FAILURE_PERCENT")
    alert_failure_minimum: Count = Field(10, alias="DCT_ALERT_FAILURE_MINIMUM")
    alert_wait_seconds: NotNegative = Field(300, alias="DCT_ALERT_WAIT_SECONDS")
    alert_utilization_percent: Percent = Field(90, alias="DCT_ALERT_UTILIZATION_PERCENT")
    alert_utilization_seconds: NotNegative = Field(300, alias="DCT_ALERT_UTILIZATION_SECONDS")
    """So long a quota has to be nearly used up, and not to be so any more."""
    alert_timeouts: NotNegative = Field(1, alias="DCT_ALERT_TIMEOUTS")
    alert_listener_seconds: NotNegative = Field(300, alias="DCT_ALERT_LISTENER_SECONDS")
    alert_metrics_hours: NotNegative = Field(3, alias="DCT_ALERT_METRICS_HOURS")
    alert_metrics_minutes: NotNegative = Field(75, alias="DCT_ALERT_METRICS_MINUTES")
    """So long they have to be behind while we look: after a stop their schedule comes by within an hour."""
    alert_credential_days: int = Field(14, alias="DCT_ALERT_CREDENTIAL_DAYS", ge=0, le=366)
    """So long before its end the credential of a connection is told, where the provider says when that is."""
    heartbeat_url: SecretStr | None = Field(None, alias="DCT_HEARTBEAT_URL")
    """Asked at each look while everything works, for a monitor that misses us otherwise."""

    log_format: LogFormat = Field(LogFormat.TEXT, alias="DCT_LOG_FORMAT")
    metrics_port: Port | None = Field(None, alias="DCT_METRICS_PORT")
    """Where `dct up` serves metrics to Prometheus; unset: nowhere."""
    metrics_host: str = Field("127.0.0.1", alias="DCT_METRICS_HOST")
    otlp_endpoint: str | None = Field(None, alias="DCT_OTLP_ENDPOINT")
    """The collector's traces are at `/v1/traces` below it; unset: OpenTelemetry's own name counts."""
    otel_endpoint: str | None = Field(None, alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    otel_headers: SecretStr | None = Field(None, alias="OTEL_EXPORTER_OTLP_HEADERS")
    otel_service_name: str = Field("dct", alias="OTEL_SERVICE_NAME")

    @property
    def logs_json(self) -> bool:
        """Whether logs are JSON."""
        return self.log_format is LogFormat.JSON

    @property
    def traces_endpoint(self) -> str | None:
        """Where traces are posted; None where nobody wants them."""
        base = self.otlp_endpoint or self.otel_endpoint
        return f"{base.rstrip('/')}/v1/traces" if base else None

    @property
    def otlp_headers(self) -> Mapping[str, str]:
        """Headers of each request to the collector, from `name=value,name=value` with percent-encoding."""
        text = self.otel_headers.get_secret_value() if self.otel_headers else ""
        pairs = (part.partition("=") for part in text.split(",") if part.strip())
        return {unquote(name).strip(): unquote(value).strip() for name, _, value in pairs}

    @property
    def quotas(self) -> Quotas:
        """The quotas that count where operators have not set others."""
        return Quotas(
            executions=self.trigger_max_concurrent_executions,
            agents=self.max_concurrent_agents,
            agent_reservation_percent=self.priority_agent_reservation_percent,
            workspaces=self.max_concurrent_workspaces,
            enabled=self.trigger_resource_limits_enabled,
        )

    unused: tuple[str, ...] = ()
    """One sentence for each variable that is set and has no effect."""

    @field_validator("project_root", "home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("otlp_endpoint", "otel_endpoint")
    @classmethod
    def _an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("is not of the form http://collector:4318")
        return value

    @field_validator("otel_headers")
    @classmethod
    def _pairs(cls, value: SecretStr | None) -> SecretStr | None:
        parts = value.get_secret_value().split(",") if value else []
        if not all("=" in part for part in parts if part.strip()):
            raise ValueError("is not of the form name=value,name=value")
        return value

    @field_validator("database_url")
    @classmethod
    def _with_our_driver(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        scheme, separator, rest = value.get_secret_value().partition("://")
        if not separator or scheme.partition("+")[0] not in {"postgresql", "postgres"}:
            raise ValueError("is not of the form postgresql://user:password@host:5432/name")
        return SecretStr(f"{DRIVER}://{rest}")


def variable_names() -> tuple[str, ...]:
    """Every name that has a meaning here, for messages and the reference page."""
    fields = (field.alias for field in Settings.model_fields.values())
    return (*(alias for alias in fields if alias), *Settings.RETIRED)


def environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the process's variables (or `environ`) laid over those of `.env` in the project's root.

    Credentials are kept by reference to a name; this is where the names are looked up. Empty values count as
    unset.
    """
    given = {name: value for name, value in (os.environ if environ is None else environ).items() if value}
    path = _project_root(given) / ".env"
    try:
        written = dotenv_values(path, encoding="utf-8") if path.exists() else {}
    except (OSError, ValueError) as error:
        raise InvalidSetting(f"{path} cannot be read ({error}); correct or remove it") from error
    return {name: value for name, value in written.items() if value} | given


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings of `environ`, by default the process's own.

    Raises `InvalidSetting` with one line for each fault; values of secrets are never shown.
    """
    variables = environment(environ)
    root = _project_root(variables)
    unused = tuple(sentence for name, sentence in Settings.RETIRED.items() if name in variables)
    known = {name: variables[name] for name in variable_names() if name in variables}
    faults = list(_unknown(variables))
    try:
        settings = Settings.model_validate(
            {"DAGSTER_HOME": root, "DCT_HOME": root / ".dct", "unused": unused} | known
        )
    except ValidationError as error:
        faults += [_explained(detail) for detail in error.errors(include_input=False)]
    if faults:
        raise InvalidSetting("\n".join(faults))
    return settings


def _project_root(variables: Mapping[str, str]) -> Path:
    if home := variables.get("DAGSTER_HOME"):
        return Path(home).expanduser().absolute()
    here = Path.cwd()
    return next((place for place in (here, *here.parents) if (place / PROJECT_MARK).is_file()), here)


def _unknown(variables: Mapping[str, str]) -> Iterator[str]:
    known = [name for name in variable_names() if name.startswith(PREFIX)]
    for name in sorted(variables):
        if name.startswith(PREFIX) and name not in known:
            nearest = get_close_matches(name, known, n=1, cutoff=0.0)[0]
            yield f"{name} is not a setting; did you mean {nearest}?"


def _explained(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{'.'.join(map(str, detail['loc']))} {message}"
