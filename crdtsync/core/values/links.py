"""The line that joins, ``crdtsync+wss://HUB/ROOM#TOKEN``: how it is written and read, not what it gives;
and which addresses of hubs stay on this machine.

The token stands behind the ``#``, so that it is no part of what any program would send as an address.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from crdtsync.core.values.ids import check_room_name, printable
from crdtsync.errors import InvalidName

PREFIX: Final = "crdtsync+"


@dataclass(frozen=True, slots=True)
class Link:
    """``hub``: its address, ``ws://`` or ``wss://``."""

    hub: str
    room: str
    token: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        address = f"{PREFIX}{self.hub.rstrip('/')}/{quote(self.room, safe='')}"
        return address if self.token is None else f"{address}#{self.token}"


def is_loopback(host: str) -> bool:
    """Whether what is sent to ``host``, a name or an IP address, stays on this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_here(address: str) -> bool:
    """Whether that address of a hub (``ws://`` or ``wss://``) is reached from this machine only."""
    return is_loopback(urlsplit(address).hostname or "")


def is_link(text: str) -> bool:
    return text.startswith((f"{PREFIX}ws://", f"{PREFIX}wss://"))


def read_link(text: str) -> Link:
    """Raises InvalidName, which never repeats the token."""
    without_token, _, token = text.strip().partition("#")
    if not is_link(without_token):
        raise InvalidName("An invite looks like crdtsync+wss://HUB/ROOM#…: copy the whole of it")
    try:
        parts = urlsplit(without_token.removeprefix(PREFIX))
    except ValueError:  # half an IPv6 address
        parts = urlsplit("")
    above, _, room = parts.path.rpartition("/")
    if not parts.netloc or not room or parts.query:
        raise InvalidName(f"{printable(without_token)} names no hub and room: copy the whole of the invite")
    return Link(
        f"{parts.scheme}://{parts.netloc}{above}",
        check_room_name(unquote(room)),
        token or None,
    )
