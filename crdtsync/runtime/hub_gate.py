"""The hub's gate: asks who may enter, slows those who guess, and remembers who is inside and by which right.

Every door (replica sockets, blob sockets, HTTP, Yjs clients) uses the one gate of its hub. Who may enter is
decided in ``core.hub.admission``; what a door does to let someone out is the door's.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from websockets.asyncio.server import ServerConnection

from crdtsync.core.hub.admission import Admit, Asking, Denied, Granted, Peer, everyone
from crdtsync.core.hub.attempts import Attempts

PASSED_ON: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via", "CF-Connecting-IP")
"""Headers of a proxy: whoever speaks through one on this machine is not on this machine."""
LOOK_AGAIN_MAX_S: Final = 3600.0
"""The wall clock may be set: what it says of an expiry is looked up again after this long."""


def _for_ever(granted: Granted) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class _Inside:
    granted: Granted
    end: Callable[[str], None]


class Gate:
    """``admit`` says who may enter, ``problem`` why someone who is inside has to leave, or None."""

    def __init__(self, admit: Admit = everyone, problem: Callable[[Granted], str | None] = _for_ever) -> None:
        self._admit = admit
        self._problem = problem
        self._attempts = Attempts()
        self._inside: dict[int, _Inside] = {}
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s: float | None = None
        self.known: Callable[[ServerConnection], None] = lambda websocket: None
        """Is told of each connection that is let in."""

    def admit(self, asking: Asking) -> Granted | Denied:
        """Ask; a Denied tells for how long its answer is held back."""
        answer = self._admit(asking)
        if isinstance(answer, Denied):
            after_s = self._attempts.failed(asking.peer.address, time.monotonic())
            return replace(answer, after_s=max(after_s, answer.after_s))
        return answer

    def enter(
        self, websocket: ServerConnection, granted: Granted, end: Callable[[str], None]
    ) -> Callable[[], None]:
        """Someone is inside; ``end`` is called with the reason when the right to be there ends.

        Returns what to call when they have left by themselves. To be called on the loop.
        """
        self.known(websocket)
        number = next(self._numbers)
        self._inside[number] = _Inside(granted, end)
        if granted.until_s is not None and (self._due_s is None or granted.until_s < self._due_s):
            self._set_timer()
        return lambda: self._leave(number)

    def look_again(self) -> int:
        """Let those out who may be inside no longer; returns how many there were."""
        ended = 0
        for number, inside in list(self._inside.items()):
            problem = self._problem(inside.granted)
            if problem is not None and self._inside.pop(number, None) is not None:
                ended += 1
                inside.end(problem)
        self._set_timer()
        return ended

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._due_s = None

    def _leave(self, number: int) -> None:
        self._inside.pop(number, None)

    def _set_timer(self) -> None:
        self.close()
        granted = [inside.granted.until_s for inside in self._inside.values()]
        first_s = min((until_s for until_s in granted if until_s is not None), default=None)
        self._due_s = first_s
        if first_s is not None:
            delay_s = min(max(0.0, first_s - time.time()), LOOK_AGAIN_MAX_S)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self.look_again)


def peer_of(websocket: ServerConnection) -> Peer:
    """Who is at the other end, as far as addresses and proxies tell; an IPv6 network counts as one."""
    request = websocket.request
    peer = peer_of_address(websocket.remote_address)
    passed_on = request is not None and any(name in request.headers for name in PASSED_ON)
    return replace(peer, local=peer.local and not passed_on)


def peer_of_address(remote: Any) -> Peer:
    """The same, by the address alone that a socket gives."""
    try:
        return _peer_at(str(remote[0]))
    except (TypeError, IndexError):
        return Peer("", local=False)


@lru_cache(maxsize=1024)
def _peer_at(host: str) -> Peer:
    """Asked twice for each connection, and most are from the same few addresses."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return Peer("", local=False)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif not address.is_loopback:
            return Peer(str(ipaddress.ip_network((int(address), 64), strict=False)), local=False)
    return Peer(str(address), local=address.is_loopback)
