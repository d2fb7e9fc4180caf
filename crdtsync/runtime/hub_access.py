"""How a hub is guarded, put together: whom it asks for an invite, its gate, what web pages may do, its TLS.

Refuses to be open to a network unless told to be. The decisions themselves are in ``core.hub.admission`` and
``core.hub.webpages``.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crdtsync.adapters.access_store import AccessStore
from crdtsync.adapters.tls import HubCertificate
from crdtsync.core.hub.admission import (
    Asking,
    Demand,
    Denied,
    Granted,
    Peer,
    decide,
    is_valid,
    still_holds,
)
from crdtsync.core.hub.invites import read_token
from crdtsync.core.hub.webpages import WebPolicy
from crdtsync.core.values.links import is_loopback
from crdtsync.errors import CrdtsyncError
from crdtsync.runtime.hub_gate import Gate


@dataclass(frozen=True, slots=True)
class AccessOptions:
    """``open``: nobody is asked for an invite, whatever the address. ``closed``: everybody is.

    ``names`` are further host names under which a hub that asks nobody on this machine may be called there;
    ``origins`` the web pages that may use it. ``tls``: the files of certificate chain and key.
    """

    open: bool = False
    closed: bool = False
    names: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()
    tls: tuple[Path, Path] | None = None


class HubAccess:
    """The access rules of one running hub."""

    def __init__(self, host: str, data: Path, options: AccessOptions, trouble: Callable[[str], None]) -> None:
        """Raises CrdtsyncError when nobody could enter, or anybody could who should not."""
        self._store = AccessStore(data)
        self._credentials = self._store.load()
        if self._credentials.key is not None:
            read_token("", self._credentials.key)  # what reads tokens is loaded before anybody waits for it
        self.demand = demand_of(host, options)
        if self.demand is Demand.EVERYBODY and self._credentials.key is None:
            why = "is closed" if options.closed else "can be reached by others"
            raise CrdtsyncError(
                f"A hub at {host} {why}, so it asks everyone for an invite, and there is none yet. Make one "
                f"with: crdtsync invite ROOM --data {data} --hub URL   (or let everyone in who can reach it: "
                "--open)"
            )
        names = own_names() | options.names if self.demand is Demand.REMOTE else None
        self.web = WebPolicy(names, options.origins)
        self.gate = Gate(self._admit, self._problem)
        self.certificate = None if options.tls is None else HubCertificate(*options.tls, trouble)

    @property
    def scheme(self) -> str:
        return "ws" if self.certificate is None else "wss"

    def reload(self) -> int:
        """The invites have changed: let those out who lost theirs; returns how many. Raises StoreError."""
        self._credentials = self._store.load()
        return self.gate.look_again()

    def may_know(self, peer: Peer, token: str | None) -> bool:
        """Whether someone may be told how much there is in the hub."""
        if self.demand is Demand.NOBODY or peer.local:
            return True
        return token is not None and is_valid(token, self._credentials, time.time())

    def _admit(self, asking: Asking) -> Granted | Denied:
        return decide(asking, self.demand, self._credentials, time.time())

    def _problem(self, granted: Granted) -> str | None:
        return still_holds(granted, self._credentials, time.time())


def demand_of(host: str, options: AccessOptions) -> Demand:
    """Of whom a hub that listens at ``host`` asks for an invite."""
    if options.open:
        return Demand.NOBODY
    if options.closed or not is_loopback(host):
        return Demand.EVERYBODY
    return Demand.REMOTE


def own_names() -> frozenset[str]:
    """What this machine is called by those near it."""
    name = socket.gethostname().lower()
    return frozenset({"localhost", name, f"{name}.local"})
