"""A page with a y-websocket client: it has the connection to itself, and names its document by the address.

It speaks as https://github.com/yjs/y-websocket (version 3) does.
"""

from __future__ import annotations

from random import Random

from crdtsync.core.hub.events import YjsDoor
from crdtsync.core.wire.yjs import YjsMessage, decode_yjs, encode_yjs
from crdtsync.testing.clock import Clock, Trace
from crdtsync.testing.page import Page
from crdtsync.testing.page_socket import PageSocket
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_network import VirtualLink


class YjsPage(Page):
    """What is said while it is offline is not said again: the next step 2 has it."""

    repeats = True

    def __init__(
        self,
        name: str,
        clock: Clock,
        rng: Random,
        trace: Trace,
        hub: VirtualHub,
        room: str,
        path: str,
        latency_s: float,
    ) -> None:
        super().__init__(name, clock, rng, trace, room, path, state=None)
        door = YjsDoor(room, path, None)
        self._socket = PageSocket(clock, rng, hub, door, latency_s, self._begin, self._received, self._ended)
        self._renew()

    @property
    def link(self) -> VirtualLink:
        return self._socket.link

    def _say(self, message: YjsMessage) -> None:
        self._socket.send(encode_yjs(message))

    def _hang_up(self) -> None:
        self._socket.close()

    def _received(self, frame: bytes) -> None:
        self._take(decode_yjs(frame))

    def _ended(self, reason: str) -> None:
        self._interrupted()
        if self.open and 4400 <= self.link.close_code <= 4499:
            self._refuse(reason)
