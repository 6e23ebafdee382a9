"""Wherever a user can set a URL or a host, it cannot lead to where machines keep their own credentials.

Each way out is asked with each address by the real client. `network` keeps account of every connection that
this process opens, so "refused" means that nobody was called.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from dct_pipelines import registry
from dct_pipelines.bootstrap.connected import MAKERS
from dct_pipelines.clients.api import ApiClient, ApiRefusal, ApiRules
from dct_pipelines.clients.clock import SystemClock
from dct_pipelines.clients.git import GitClient
from dct_pipelines.clients.processes import Processes
from dct_pipelines.domain.connected import ConnectionPort
from dct_pipelines.domain.errors import ConnectionDown, DctError, ItemUnreadable
from dct_pipelines.domain.git import RepositoryRef
from tests.fakes.processes import FakeProcesses
from tests.support.network import *  # noqa: F403
from tests.support.network import Network
from tests.support.receiver import receiver
from tests.support.ways_out import Way, by_git, client_of, endpoint, ways

pytestmark = pytest.mark.integration

METADATA = {
    "169.254.169.254": None,
    "169.254.170.2": None,
    "2852039166": None,
    "0xa9fea9fe": None,
    "0251.0376.0251.0376": None,
    "169.254.43518": None,
    "100.100.100.200": None,
    "168.63.129.16": None,
    "0.0.0.0": None,
    "224.0.0.1": None,
    "[::]": None,
    "[::ffff:169.254.169.254]": None,
    "[::ffff:a9fe:a9fe]": None,
    "[::169.254.169.254]": None,
    "[64:ff9b::a9fe:a9fe]": None,
    "[64:ff9b:1::a9fe:a9fe]": None,
    "[2002:a9fe:a9fe::]": None,
    "[2001:0:4136:e378:8000:63bf:5601:5601]": None,
    "[fe80::1]": None,
    "[fd00:ec2::254]": None,
    "metadata.example": ("169.254.169.254",),
    "tunnel.example": ("64:ff9b::a9fe:a9fe",),
    "both.example": ("93.184.216.34", "169.254.169.254"),
}
"""Hosts that are refused whatever an operator allows, and what a name of them leads to."""
PRIVATE = {
    "127.0.0.1": None,
    "127.1": None,
    "2130706433": None,
    "0x7f.1": None,
    "localhost": None,
    "10.1.2.3": None,
    "192.168.1.1": None,
    "100.64.0.1": None,
    "[::1]": None,
    "[::ffff:10.1.2.3]": None,
    "[64:ff9b::a01:203]": None,
    "[fd12:3456::1]": None,
    "private.example": ("10.1.2.3",),
    "mixed.example": ("93.184.216.34", "10.1.2.3"),
}
"""Hosts that are refused where a private network is not allowed."""
ELSEWHERE = "93.184.216.34"


NAMES = tuple(ways(Path("/nonexistent"), FakeProcesses()))


@pytest.fixture
def processes() -> FakeProcesses:
    """A git that finds an empty repository."""
    return FakeProcesses({"git": ()})


@pytest.fixture(params=NAMES)
def way(request: pytest.FixtureRequest, tmp_path: Path, processes: FakeProcesses) -> Way:
    return ways(tmp_path, processes)[request.param]


def answer(way: Way, host: str, allow: bool) -> str:
    try:
        return way.ask(host, allow) or "it was let through"
    except DctError as error:
        return str(error)


# ---------------------------------------------------------------- what must hold of each


def test_every_kind_of_connection_is_a_way_out():
    assert set(registry.listeners()) == {*MAKERS, "git"}


def test_no_way_leads_to_the_credentials_of_a_machine_whatever_is_allowed(
    way: Way, network: Network, processes: FakeProcesses
):
    network.names.update({name: [found] for name, found in METADATA.items() if found})
    for host in METADATA:
        said = answer(way, host, True)
        assert "leads to" in said, f"{host}: {said}"
    assert network.connected == []
    assert processes.commands == []


def test_no_way_leads_into_a_private_network_unless_that_is_allowed(way: Way, network: Network):
    network.names.update({name: [found] for name, found in PRIVATE.items() if found})
    for host in () if way.always_private else PRIVATE:
        said = answer(way, host, False)
        assert "allow_private_network" in said, f"{host}: {said}"
    assert network.connected == []


def test_a_name_that_changes_its_mind_leads_to_what_was_judged(
    way: Way, network: Network, processes: FakeProcesses
):
    network.names["rebinding.example"] = [(ELSEWHERE,), ("169.254.169.254",)]
    for _ in range(3):
        answer(way, "rebinding.example", True)
    assert {host for host, _port in network.connected} <= {ELSEWHERE}
    assert len(network.connected) + len(processes.commands) == 1


def test_git_is_kept_to_the_addresses_that_were_judged(
    tmp_path: Path, network: Network, processes: FakeProcesses
):
    network.names["git.example"] = [(ELSEWHERE, "2606:2800:220:1::1")]
    by_git("https://git.example:8443/x.git", tmp_path, processes, "", False)
    (command,) = processes.commands
    pinned = {
        command.env[f"GIT_CONFIG_KEY_{n}"]: command.env[f"GIT_CONFIG_VALUE_{n}"]
        for n in range(int(command.env["GIT_CONFIG_COUNT"]))
    }
    assert pinned["http.curloptResolve"] == f"git.example:8443:{ELSEWHERE},2606:2800:220:1::1"


def test_the_real_git_goes_where_it_is_pinned_to_and_follows_no_redirect(tmp_path: Path, network: Network):
    network.names["localhost"] = [("127.0.0.1",)]
    with receiver() as trap, receiver() as server:
        server.answers = [(301, b"")]
        server.headers["location"] = trap.url
        client = GitClient(tmp_path, Processes(tmp_path))
        with pytest.raises(ItemUnreadable, match="redirect, which is not followed"):
            client.list_refs(RepositoryRef(f"http://localhost:{server.port}/x.git"))
        assert len(server.requests) == 1
        assert trap.requests == []


@pytest.mark.parametrize(
    "url", ["https://169%2e254.169.254/x", "https://a\\@b/x", "https://a b/x", "https://ho st:1x/"]
)
def test_a_host_that_programs_read_differently_is_refused(url: str, tmp_path: Path, processes: FakeProcesses):
    with pytest.raises(DctError, match=r"plainly|credential"):
        GitClient(tmp_path, processes).list_refs(RepositoryRef(url))
    assert processes.commands == []


def answering(kind: str, port: int) -> ConnectionPort:
    return client_of(kind, f"http://127.0.0.1:{port}", True)


@pytest.mark.parametrize("kind", sorted(set(MAKERS) - {"mail"}))
def test_no_provider_redirects_us(kind: str, network: Network):
    with receiver() as server:
        for status in (301, 302, 303, 307, 308):
            server.answers = [(status, b"{}")]
            server.headers["location"] = "http://169.254.169.254/latest/meta-data/"
            with pytest.raises(DctError):
                answering(kind, server.port).check()
        assert {port for _host, port in network.connected} == {server.port}


def test_a_next_page_elsewhere_is_not_asked_for(network: Network):
    with receiver() as server, receiver() as trap:
        client = ApiClient(
            endpoint("github", f"http://127.0.0.1:{server.port}", True),
            ApiRules(authorize=lambda secret: {"authorization": secret}),
            SystemClock(),
        )
        base = f"http://127.0.0.1:{server.port}"
        for elsewhere in (
            trap.url,
            "http://169.254.169.254/x",
            f"{base}.example.org/x",
            f"{base}@169.254.169.254/x",
            f"http://127.0.0.1:{server.port}0/x",
            "HTTP://169.254.169.254/x",
            "//169.254.169.254/x",
        ):
            with suppress(ConnectionDown, ApiRefusal):
                client.call("GET", elsewhere)
        assert {port for _host, port in network.connected} <= {server.port}
        assert trap.requests == []
