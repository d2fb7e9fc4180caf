"""Pages with a Hocuspocus client: several documents share a connection, each let in and closed by itself.

They speak as https://github.com/ueberdosis/hocuspocus (version 4 of the provider) does.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final

from crdtsync.core.hub.events import HocuspocusDoor
from crdtsync.core.wire.hocuspocus import (
    SESSION_SEPARATOR,
    Authenticated,
    CloseDocument,
    Message,
    Named,
    Ping,
    Pong,
    Stateless,
    SyncStatus,
    Token,
    encode_hocuspocus,
)
from crdtsync.core.wire.yjs import Awareness, PermissionDenied, YjsMessage
from crdtsync.testing.clock import Clock, Trace
from crdtsync.testing.hocuspocus_answers import read_answer
from crdtsync.testing.page import Page
from crdtsync.testing.page_socket import PageSocket
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_network import VirtualLink

VERSION: Final = "4.8.0"


def name_of(room: str, path: str, session: str = "") -> str:
    return f"{room}/{path}" + (SESSION_SEPARATOR + session if session else "")


class HocuspocusSocket:
    """Closes with the last of its pages, so the first is to come at once.

    What its pages say while it is offline is said after the first message of the next connection.
    """

    def __init__(self, clock: Clock, rng: Random, hub: VirtualHub, latency_s: float) -> None:
        self.pages: dict[str, HocuspocusPage] = {}
        """By the names by which the hub is told of them."""
        self.late: dict[int, str] = {}
        """States, by client, of pages that had gone when that was said or heard. It had waited since before a
        connection over which it was said, and lost, that they are gone; or it was on its way to a page whose
        document another has here by now."""
        self._gone: set[int] = set()
        self._unsaid: list[Named] = []
        self._heard = False
        self._socket = PageSocket(
            clock, rng, hub, HocuspocusDoor(), latency_s, self._opened, self._received, self._ended
        )

    @property
    def link(self) -> VirtualLink:
        return self._socket.link

    def takes(self, room: str, path: str, session: str = "") -> bool:
        """Whether the document is not open here."""
        return self._socket.open and name_of(room, path, session) not in self.pages

    def attach(self, page: HocuspocusPage) -> None:
        self.pages[page.document] = page
        if self._socket.connected:
            page.begin()

    def detach(self, page: HocuspocusPage) -> None:
        self.say(Named(page.document, CloseDocument()))
        self._gone.add(page.client_id)
        del self.pages[page.document]
        if not self.pages:
            self._socket.close()

    def say(self, frame: Named) -> None:
        if self._socket.connected:
            self._socket.send(encode_hocuspocus(frame))
            return
        if isinstance(frame.message, Awareness):
            self._unsaid = [
                each
                for each in self._unsaid
                if each.name != frame.name or not isinstance(each.message, Awareness)
            ]
        self._unsaid.append(frame)

    def _opened(self) -> None:
        self._heard = False
        for page in self.pages.values():
            page.begin()

    def _received(self, data: bytes) -> None:
        if not self._heard:
            self._heard = True
            unsaid, self._unsaid = self._unsaid, []
            for frame in unsaid:
                self.say(frame)
                self._note_late(frame.message)
        match read_answer(data):
            case Ping():
                self._socket.send(encode_hocuspocus(Pong()))
            case Named(name, message) if name in self.pages:
                self._note_late(message)
                self.pages[name].receive(message)

    def _note_late(self, message: Message) -> None:
        if isinstance(message, Awareness):
            late = (state for state in message.states if state.client in self._gone)
            self.late.update((state.client, state.state) for state in late)

    def _ended(self, reason: str) -> None:
        for page in self.pages.values():
            page.interrupted()


class HocuspocusPage(Page):
    """One document of a socket. With ``session``, a name of its own, others there may have the same one."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        rng: Random,
        trace: Trace,
        socket: HocuspocusSocket,
        room: str,
        path: str,
        session: str = "",
    ) -> None:
        super().__init__(name, clock, rng, trace, room, path, state="{}")
        self.document = name_of(room, path, session)
        self._socket = socket
        socket.attach(self)
        self._renew()

    @property
    def link(self) -> VirtualLink:
        return self._socket.link

    @property
    def late(self) -> Mapping[int, str]:
        return self._socket.late

    def begin(self) -> None:
        self._socket.say(Named(self.document, Token("", VERSION)))
        self.unstored = 1  # the answer to the hub's step 1
        self._begin()

    def interrupted(self) -> None:
        self._interrupted()

    def receive(self, message: Message) -> None:
        match message:
            case SyncStatus(applied):
                if applied and self.unstored:
                    self.unstored -= 1
            case PermissionDenied(reason) | CloseDocument(reason):
                self._refuse(reason)
            case Authenticated() | Stateless() | Token():
                pass
            case _:
                self._take(message)

    def _changed(self, update: bytes) -> None:
        if not self._hearing:
            self.unstored += 1
        super()._changed(update)

    def _say(self, message: YjsMessage) -> None:
        self._socket.say(Named(self.document, message))

    def _hang_up(self) -> None:
        self._tell_gone()
        self._socket.detach(self)
