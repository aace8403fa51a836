"""Which addresses a URL that a user named may lead to. One rule, asked before a request and again at connect time."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from yarl import URL

Network = IPv4Network | IPv6Network

SETTING = "VIVA_ALLOW_NETWORKS"
"""The setting that names the networks which are allowed although they are not public."""

_CLOSED_4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT, and a cloud's metadata at 100.100.100.200
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's metadata on a public address
        "169.254.0.0/16",  # link-local, and most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",  # protocol assignments, and a cloud's metadata at 192.0.0.192
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_OPEN_6 = IPv6Network("2000::/3")  # everything that is routed publicly; the rest of IPv6 is not
_CLOSED_6 = tuple(IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "3fff::/20"))
_COMPATIBLE = IPv6Network("::/96")
_NAT64 = IPv6Network("64:ff9b::/96")


class Refused(Exception):
    """A request was not made because of where it would have gone. The message is for a person and holds no secret."""


class Blocked(PermissionError):
    """A refusal on its way through an HTTP client, which hands on only ``OSError``."""


@dataclass(frozen=True, slots=True)
class Guard:
    """``allow`` are the networks that may be reached although they are not public; they win over every refusal."""

    allow: tuple[Network, ...] = ()


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks from CIDR texts such as ``10.0.0.0/8`` or ``::1``. Raises ``ValueError`` naming the one that is none."""
    return tuple(ip_network(text.strip(), strict=False) for text in texts)


def permits(guard: Guard, address: str) -> bool:
    """Whether this IP address (with or without a scope) may be connected to. What is no address may not."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return _permits(guard, parsed)


def vetted(guard: Guard, url: str) -> URL:
    """The parsed URL, or ``Refused``: only http and https, no credentials, and no literal address that is refused.

    Names are judged when they are resolved, by the resolver of ``vivavoce.outbound.fetch``.
    """
    try:
        parsed = URL(url)
        scheme, host, _ = parsed.scheme, parsed.raw_host, parsed.port
    except ValueError:
        raise Refused("this is not a URL") from None
    if scheme not in ("http", "https"):
        raise Refused("only http and https addresses are called")
    if not host:
        raise Refused("this URL names no host")
    if parsed.user is not None or parsed.password is not None:
        raise Refused("a URL may not carry a user name or a password: use a header")
    literal = _literal(host)
    if literal is not None and not _permits(guard, literal):
        raise Refused(not_public(host))
    return parsed


def not_public(host: str) -> str:
    """The sentence that says why a host is refused; its addresses are not told, since they can be internal."""
    return f"{host} is not a public address; {SETTING} can name networks that are called all the same"


def _permits(guard: Guard, address: IPv4Address | IPv6Address) -> bool:
    if any(address in network for network in guard.allow if network.version == address.version):
        return True
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _CLOSED_4)
    inside = _embedded(address)
    if inside:
        return all(_permits(guard, each) for each in inside)
    return address in _OPEN_6 and not any(address in network for network in _CLOSED_6)


def _embedded(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that an IPv6 address is a wrapping of: that is where the packets end up."""
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64 or address in _COMPATIBLE:
        return (IPv4Address(address.packed[-4:]),)
    return ()


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """The address that the operating system reads in a host, in any of the forms it accepts, or None for a name."""
    bare = host.rstrip(".")
    try:
        if ":" in bare:
            return IPv6Address(bare.partition("%")[0])
        return IPv4Address(socket.inet_aton(bare))
    except (OSError, ValueError):
        return None
