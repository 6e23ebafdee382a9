"""Where a user-given host may lead, and where never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dct_pipelines.clients.guard import AddressGuard, resolve
from dct_pipelines.domain.errors import ActionFailed, ActionInterrupted


def guard(*addresses: str, allow_private_network: bool = False) -> AddressGuard:
    answers = [(2, 1, 6, "", (address, 443)) for address in addresses]
    return AddressGuard(allow_private_network=allow_private_network, resolver=lambda _host, _port: answers)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "fe80::1%eth0",
        "fd00::1",
        "fd00:ec2::254",
        "ff02::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
def test_nothing_but_public_addresses_is_allowed_by_default(address):
    with pytest.raises(ActionFailed, match="leads to"):
        guard(address).addresses("x.example.org", 443, encrypted=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_public_addresses_are_allowed_over_https_only(address):
    assert guard(address).addresses("x.example.org", 443, encrypted=True) == (address,)
    with pytest.raises(ActionFailed, match="use https"):
        guard(address, allow_private_network=True).addresses("x.example.org", 80, encrypted=False)


def test_one_bad_address_among_good_ones_refuses_them_all():
    with pytest.raises(ActionFailed, match=r"10\.0\.0\.1"):
        guard("93.184.216.34", "10.0.0.1").addresses("x.example.org", 443, encrypted=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.1.1", "::1", "fd00::1"])
def test_an_operator_can_allow_a_private_network(address):
    allowed = guard(address, allow_private_network=True)
    assert allowed.addresses("x.internal", 80, encrypted=False) == (address,)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "fe80::1", "224.0.0.1", "2002:a00:1::"]
)
def test_the_metadata_of_clouds_is_refused_even_then(address):
    with pytest.raises(ActionFailed):
        guard(address, allow_private_network=True).addresses("x.internal", 80, encrypted=False)


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost"])
def test_other_spellings_of_this_machine_are_judged_after_resolving(host):
    with pytest.raises(ActionFailed, match=r"leads to (127\.0\.0\.1|::1)"):
        AddressGuard().addresses(host, 443, encrypted=True)


def test_a_name_that_does_not_resolve_is_tried_again():
    def fails(_host: str, _port: int) -> list[object]:
        raise OSError(1, "name server away")

    with pytest.raises(ActionInterrupted, match="cannot be resolved"):
        AddressGuard(resolver=fails).addresses("x.example.org", 443, encrypted=True)
    with pytest.raises(ActionInterrupted, match="no address"):
        guard().addresses("x.example.org", 443, encrypted=True)


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="127.0.0.0/8"))
def test_no_wrapping_hides_a_private_address(address):
    number = int(address)
    wrapped = [
        f"::ffff:{address}",
        f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1",
    ]
    for text in wrapped:
        with pytest.raises(ActionFailed):
            guard(text).addresses("x.example.org", 443, encrypted=True)


def test_the_system_answers_for_names():
    assert resolve("127.0.0.1", 80)[0][4][0] == "127.0.0.1"


@pytest.mark.parametrize("host", ["a..example.org", ".example.org", f"{'x' * 64}.example.org"])
def test_what_can_be_no_name_is_said_to_be_none(host):
    with pytest.raises(ActionFailed, match="is no name of a host; correct"):
        AddressGuard().addresses(host, 443, encrypted=True)
