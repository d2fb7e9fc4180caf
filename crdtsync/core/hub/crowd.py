"""How many connections and requests one address may have, and all of them together; pure counting.

A connection is unknown until it was let into a room. This machine itself is bounded only as part of all:
everyone who comes through a proxy on it has its address.
"""

from __future__ import annotations

from dataclasses import dataclass

from crdtsync.core.hub.admission import Peer
from crdtsync.core.hub.rates import Allowance
from crdtsync.core.values import limits

TOO_MANY = "The hub has as many connections as it takes; try again later."
TOO_MANY_HERE = "The hub has as many connections from this address as it takes; try again later."
TOO_FAST = "There are too many requests from this address; try again later."


@dataclass(slots=True)
class _Address:
    requests: Allowance
    connections: int = 0
    unknown: int = 0


class Crowd:
    """Times are in seconds on any one clock."""

    def __init__(self) -> None:
        self.connections = 0
        self.unknown = 0
        self._addresses: dict[str, _Address] = {}
        """The one that came last at the end."""

    def arrive(self, peer: Peer, now_s: float) -> str | None:
        """A connection comes: counted as unknown, or why it has to go."""
        if self.connections >= limits.CONNECTIONS_MAX or self.unknown >= limits.CONNECTIONS_BEFORE_HELLO_MAX:
            return TOO_MANY
        address = self._address(peer, now_s)
        if not peer.local:
            if (
                address.connections >= limits.CONNECTIONS_PER_ADDRESS_MAX
                or address.unknown >= limits.UNKNOWN_PER_ADDRESS_MAX
            ):
                return TOO_MANY_HERE
            if not address.requests.spend(now_s):
                return TOO_FAST
        self.connections += 1
        self.unknown += 1
        address.connections += 1
        address.unknown += 1
        return None

    def known(self, peer: Peer) -> None:
        """One that had arrived was let into a room."""
        self.unknown -= 1
        self._addresses[peer.address].unknown -= 1

    def leave(self, peer: Peer, *, unknown: bool) -> None:
        self.connections -= 1
        self.unknown -= unknown
        address = self._addresses[peer.address]
        address.connections -= 1
        address.unknown -= unknown

    def _address(self, peer: Peer, now_s: float) -> _Address:
        known = self._addresses.pop(peer.address, None)
        if known is None:
            burst, per_s = limits.REQUESTS_PER_ADDRESS_BURST, limits.REQUESTS_PER_ADDRESS_PER_S
            known = _Address(Allowance(burst, per_s, now_s))
            if len(self._addresses) >= limits.ADDRESSES_KEPT_MAX:
                self._forget()
        self._addresses[peer.address] = known
        return known

    def _forget(self) -> None:
        """The half of those without a connection that came longest ago."""
        idle = [name for name, address in self._addresses.items() if not address.connections]
        for name in idle[: max(1, len(idle) // 2)]:
            del self._addresses[name]
