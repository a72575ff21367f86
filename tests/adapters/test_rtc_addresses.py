"""Which addresses are offered and tried."""

from __future__ import annotations

import ipaddress

import pytest

from qbcall.adapters.rtc_addresses import (
    MAX_CANDIDATES,
    CandidateFilter,
    IceServer,
    IceSettings,
    local_addresses,
)
from qbcall.errors import InvalidArgument

LOOPBACK = "127.0.0.1"


def test_interface_stands_for_its_addresses() -> None:
    assert LOOPBACK in local_addresses(IceSettings(addresses=("lo",)))


def test_name_that_the_machine_does_not_know_offers_nothing() -> None:
    assert local_addresses(IceSettings(addresses=("no-such-interface",))) == []


def test_default_is_all_but_loopback() -> None:
    assert not any(ipaddress.ip_address(one).is_loopback for one in local_addresses(IceSettings()))


def candidate(
    host: str, *, port: int = 5000, rest: str = "typ host", component: int = 1, transport: str = "udp"
) -> str:
    return f"candidate:1 {component} {transport} 2130706431 {host} {port} {rest}"


@pytest.mark.parametrize("host", ["192.0.2.1", "10.0.0.1", "2001:db8::1"])
def test_address_of_a_peer_is_tried(host: str) -> None:
    admitted = CandidateFilter(["10.0.0.9"]).admit(candidate(host))
    assert admitted is not None
    assert admitted.ip == host


def test_reflexive_candidate_of_a_browser_is_tried() -> None:
    rest = "typ srflx raddr 10.0.0.1 rport 9 generation 0 ufrag ab network-id 1 network-cost 10"
    assert CandidateFilter(["10.0.0.9"]).admit(candidate("192.0.2.1", rest=rest)) is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "candidate:",
        "rubbish",
        "candidate:1 1 udp",
        candidate("127.0.0.1"),
        candidate("::1"),
        candidate("169.254.169.254"),
        candidate("fe80::1"),
        candidate("0.0.0.0"),
        candidate("::"),
        candidate("224.0.0.251"),
        candidate("255.255.255.255"),
        candidate("ff02::1"),
        candidate("9b36eaac-bb2e-49bb-bb78-21c41c499900.local"),
        candidate("example.org"),
        candidate("192.0.2.1", port=0),
        candidate("192.0.2.1", port=65536),
        candidate("192.0.2.1", component=2),
        candidate("192.0.2.1", transport="tcp", rest="typ host tcptype active"),
        candidate("192.0.2.1", rest="typ prflx"),
        candidate("192.0.2.1", rest="typ host raddr x rport y"),
        "candidate:1 1 udp -5 192.0.2.1 5000 typ host",
        "candidate:1 1 udp 99999999999 192.0.2.1 5000 typ host",
        "candidate:1 1 udp ² 192.0.2.1 5000 typ host",
    ],
)
def test_what_is_no_address_of_a_peer_is_counted_and_not_tried(text: str) -> None:
    some = CandidateFilter(["10.0.0.9"])
    assert some.admit(text) is None
    assert some.ignored == 1


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "127.0.0.1"), ("127.0.0.1", "::1"), ("169.254.3.3", "169.254.1.1")],
)
def test_address_of_this_machine_or_this_link_is_tried_by_who_offers_one(ours: str, theirs: str) -> None:
    assert CandidateFilter([ours]).admit(candidate(theirs)) is not None
    assert CandidateFilter(["10.0.0.9"]).admit(candidate(theirs)) is None


def test_no_more_than_the_limit_are_tried() -> None:
    some = CandidateFilter(["10.0.0.9"])
    admitted = [some.admit(candidate("192.0.2.1", port=port)) for port in range(1, MAX_CANDIDATES + 6)]
    assert len([one for one in admitted if one]) == MAX_CANDIDATES
    assert some.ignored == 5


def test_repeated_candidate_is_not_counted() -> None:
    some = CandidateFilter(["10.0.0.9"])
    assert some.admit(candidate("192.0.2.1")) is not None
    assert some.admit(candidate("192.0.2.1")) is None
    assert some.ignored == 0


@pytest.mark.parametrize("url", ["http://example.org", "stun", "turn:", "stun:example.org?transport=tcp"])
def test_wrong_url_of_a_server_is_named(url: str) -> None:
    with pytest.raises(InvalidArgument, match="urls: "):
        IceServer(urls=(url,))


def test_relay_without_a_server_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="needs a TURN server"):
        IceSettings(transport_policy="relay", servers=(IceServer(urls=("stun:192.0.2.1",)),))
    server = IceServer(urls=("turn:192.0.2.1",), username="a", credential="b")
    assert IceSettings(transport_policy="relay", servers=(server,)).servers == (server,)


def test_unknown_transport_policy_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="all or relay"):
        IceSettings(transport_policy="some")
