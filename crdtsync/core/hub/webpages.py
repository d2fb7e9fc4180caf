"""What a web page that someone visits may ask of a hub: one function for every path, by Host and Origin.

A browser lets any page open a websocket to any address, and names the page in ``Origin``. A page can also
have its own name point at this machine (DNS rebinding), which shows in ``Host``. See docs/security.md.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class WebPolicy:
    """``names``: host names under which this hub may be called; None: under any.

    ``origins``: the web pages that may use it, such as ``https://notes.example``.
    """

    names: frozenset[str] | None = None
    origins: frozenset[str] = frozenset()

    def problem(self, hosts: Sequence[str], origins: Sequence[str]) -> str | None:
        """Why a request with these Host and Origin headers is not answered, or None."""
        if len(hosts) != 1:
            return "A request must name one host."
        if len(origins) > 1:
            return "A request can come from one page only."
        if self.names is not None and not self._is_known(_name_of(hosts[0])):
            return "This hub is not called by that name; its owner can allow it with --allow-host."
        if origins and origins[0].lower() not in self.origins:
            return "This path is not for that web page; the hub's owner can allow it with --allow-origin."
        return None

    def _is_known(self, name: str | None) -> bool:
        """An address is no name that anybody could have rebound."""
        return name is not None and (name in (self.names or ()) or is_address(name))


def is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def check_origin(text: str) -> str:
    """An origin as browsers write it: scheme, host and maybe a port. Raises ValueError."""
    parts = urlsplit(text)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or parts.username is not None
    ):
        raise ValueError(f"{text!r} is no origin: give it as the browser does, such as https://notes.example")
    default = {"http": 80, "https": 443}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    port = "" if parts.port in (None, default) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _name_of(host: str) -> str | None:
    """The name or address in a Host header, without the port; None for what cannot be one."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return None
    if parts.path or parts.query or parts.fragment or "@" in host:
        return None
    name = parts.hostname
    return None if name is None else name.rstrip(".")
