"""Every sensor without its database: the tick is skipped and says why, and the next one goes on."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from dct_pipelines.bootstrap import App, build
from dct_pipelines.sensors.ticks import RESOURCE
from dct_pipelines.settings import load_settings
from tests.fakes.gateway import FakeGateway
from tests.support.deployment import *  # noqa: F403
from tests.support.deployment import loaded
from tests.support.proxy import Proxy, proxy_to

pytestmark = pytest.mark.dagster
TICKING = ("git_listener", "dispatcher", "reconciler")


class Resource:
    """The resource of a process, whose services are made at the first tick."""

    def __init__(self, made: App) -> None:
        self.made = made

    @property
    def app(self) -> App:
        return self.made.ready()


@pytest.fixture
def proxy(database_url: str, project: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with proxy_to(database_url) as (proxy, url):
        monkeypatch.setenv("DCT_DATABASE_URL", url)
        yield proxy


@pytest.fixture
def resource(proxy: Proxy) -> Iterator[Resource]:
    made = build(load_settings(), FakeGateway())
    yield Resource(made)
    made.database.dispose()


def tick(name: str, resource: Resource) -> SensorExecutionData:
    sensor = next(one for one in loaded().sensors or [] if one.name == name)
    with dg.build_sensor_context(resources={RESOURCE: resource}) as context:
        return sensor.evaluate_tick(context)


@pytest.mark.parametrize("name", TICKING)
def test_a_tick_without_its_database_is_skipped_and_the_next_one_works(
    proxy: Proxy, resource: Resource, name: str
):
    proxy.down()
    for _ in range(2):
        answer = tick(name, resource)
        assert (answer.skip_message or "").startswith(
            "waiting for the database: the database does not answer"
        )
        assert not answer.run_requests
    proxy.up()
    assert "waiting for the database" not in (tick(name, resource).skip_message or "")


@pytest.mark.parametrize("name", TICKING)
def test_a_tick_whose_database_goes_away_in_the_middle_is_skipped(
    proxy: Proxy, resource: Resource, name: str
):
    message = 0
    while message == 0 or proxy.was_cut:
        message += 1
        resource.app.database.dispose()
        proxy.cut_at(message, is_delivered=False)
        answer = tick(name, resource)
        if proxy.was_cut:
            assert (answer.skip_message or "").startswith("waiting for the database: ")
        proxy.up()
    assert message > 3
