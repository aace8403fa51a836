from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.outbound.guard import Guard, Refused, networks, permits, vetted

CLOSED = Guard()

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::127.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::8.8.8.8",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "2002:a9fe:a9fe::",
    "2001:0:7f00:1::f7f7:f7f7",  # Teredo by a loopback server
    "2001:0:808:808::80ff:fffe",  # Teredo of a loopback client
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "not an address",
    "",
]

PERMITTED = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450:4001::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
    "2001:0:808:808::f7f7:f7f7",
]


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_that_are_not_public_are_refused(address: str) -> None:
    assert not permits(CLOSED, address)


@pytest.mark.parametrize("address", PERMITTED)
def test_public_addresses_are_permitted(address: str) -> None:
    assert permits(CLOSED, address)


@pytest.mark.parametrize(
    ("allowed", "address", "expected"),
    [
        ("127.0.0.0/8", "127.0.0.1", True),
        ("127.0.0.0/8", "::ffff:127.0.0.1", True),
        ("127.0.0.0/8", "10.0.0.1", False),
        ("127.0.0.0/8", "::1", False),
        ("::1", "::1", True),
        ("10.1.2.3/8", "10.200.0.1", True),
        ("fd00::/8", "fd00:ec2::254", True),
        ("0.0.0.0/0", "169.254.169.254", True),
        ("0.0.0.0/0", "fe80::1", False),
    ],
)
def test_a_named_network_is_allowed_and_no_other(allowed: str, address: str, *, expected: bool) -> None:
    assert permits(Guard(networks([f" {allowed} "])), address) is expected


def test_a_network_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="ten-slash-eight"):
        networks(["10.0.0.0/8", "ten-slash-eight"])


@given(st.ip_addresses(v=4))
def test_a_wrapped_address_is_judged_by_what_it_wraps(inner: IPv4Address) -> None:
    number = int(inner)
    wrappings = [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80) | 1),
    ]
    assert {permits(CLOSED, str(each)) for each in wrappings} == {permits(CLOSED, str(inner))}


@given(st.ip_addresses())
def test_nothing_is_permitted_that_the_standard_library_calls_private(address: IPv4Address | IPv6Address) -> None:
    if permits(CLOSED, str(address)) and isinstance(address, IPv4Address):
        assert address.is_global
        assert not address.is_multicast


LOOPBACK_SPELLINGS = [
    "http://127.0.0.1/",
    "http://127.0.0.1./",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7F.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://0/",
    "http://①②⑦.⓪.⓪.①/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[fe80::1%25eth0]/",
    "https://169.254.169.254/latest/meta-data/",
]


@pytest.mark.parametrize("url", LOOPBACK_SPELLINGS)
def test_a_literal_address_is_read_as_the_system_would(url: str) -> None:
    with pytest.raises(Refused, match="VIVA_ALLOW_NETWORKS"):
        vetted(CLOSED, url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no url",
        "/path/only",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http:///nothing",
        "http://",
        "javascript:alert(1)",
        "http://user@example.com/",
        "http://user:pass@example.com/",
        "http://:pass@example.com/",
        "http://example.com:99999/",
        "http://[::1/",
    ],
)
def test_what_is_not_a_plain_web_address_is_refused(url: str) -> None:
    with pytest.raises(Refused) as refused:
        vetted(CLOSED, url)
    assert "pass" not in str(refused.value).replace("password", "")


@pytest.mark.parametrize("url", ["http://example.com", "https://example.com:8443/a?b=c#d", "http://8.8.8.8/"])
def test_a_plain_web_address_is_accepted(url: str) -> None:
    assert vetted(CLOSED, url).host in ("example.com", "8.8.8.8")


@given(st.text() | st.text().map(lambda text: f"http://{text}/"))
def test_any_text_is_accepted_or_refused(text: str) -> None:
    try:
        parsed = vetted(CLOSED, text)
    except Refused:
        return
    assert parsed.scheme in ("http", "https")
    assert parsed.host
