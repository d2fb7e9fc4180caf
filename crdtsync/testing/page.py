"""A page with a Yjs document in it: what its person sees and does, and what every Yjs client says of it.

The document is kept while the page is offline. How it reaches the hub is left to ``yjs_page`` and
``hocuspocus_page``; what people type, to ``typists``.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from random import Random
from weakref import ref

from pycrdt import Doc, Text, TransactionEvent

from crdtsync.core.text.offsets import to_utf8
from crdtsync.core.wire.awareness import NOBODY, ClientState
from crdtsync.core.wire.yjs import (
    Awareness,
    PermissionDenied,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    YjsMessage,
)
from crdtsync.testing.clock import Clock, Trace
from crdtsync.testing.virtual_network import VirtualLink

CHECK_EVERY_S = 3.0
RENEW_S = 15.0


class Page(ABC):
    """One document, open until ``close``. ``refused``: why the hub will not have it, which is for good.

    ``state``: what the others are told of who is here before anything is announced; None: nothing.
    """

    def __init__(
        self, name: str, clock: Clock, rng: Random, trace: Trace, room: str, path: str, state: str | None
    ) -> None:
        self.name = name
        self.room = room
        self.path = path
        self.people: dict[int, str] = {}
        """The states of others, by their Yjs client ids."""
        self.open = True
        self.synced = False
        self.was_synced = False
        self.unstored = 0
        """How many changes the hub has yet to call durable, where the protocol has a word for that."""
        self.on_refused: Callable[[], None] = lambda: None
        self.refused: str | None = None
        self._clock = clock
        self._trace = trace
        self.client_id = rng.getrandbits(32)
        self._doc: Doc[Text] = Doc(client_id=self.client_id)
        self._content = self._doc.get("content", type=Text)
        page = ref(self)  # what follows a document keeps all of it in memory, and would keep the page

        def changed(event: TransactionEvent) -> None:
            if (found := page()) is not None:
                found._changed(event.update)

        self._subscription = self._doc.observe(changed)
        self._hearing = False
        self._state = state
        self._state_clock = 0
        self._told_at_s = clock.now_s

    # -- what its person sees and does --------------------------------------------------------------

    @property
    def text(self) -> str:
        return str(self._content)

    @property
    def settled(self) -> bool:
        """Whether it has all that the hub had, and the hub all of it."""
        return self.synced and not self.unstored

    @property
    def state_vector(self) -> bytes:
        return self._doc.get_state()

    def replace(self, start: int, end: int, text: str) -> None:
        """One change, as an editor's binding makes it; offsets in characters."""
        before = self.text
        start_utf8, end_utf8 = to_utf8(before, start), to_utf8(before, end)
        with self._doc.transaction():
            if end > start:
                del self._content[start_utf8:end_utf8]
            if text:
                self._content.insert(start_utf8, text)

    def announce(self, state: object) -> None:
        """Tell the others who is here."""
        self._state = json.dumps(state, ensure_ascii=False)
        self._tell_anew()

    def go_offline(self) -> None:
        """What is typed meanwhile is brought later."""
        self.link.unplug()

    def go_online(self) -> None:
        self.link.online = True

    def __del__(self) -> None:
        if self.open:
            self._doc.unobserve(self._subscription)

    def close(self) -> None:
        """The document is gone with the page."""
        if self.open:
            self.open = self.synced = False
            self._hang_up()
            self._doc.unobserve(self._subscription)

    # -- how it reaches the hub ---------------------------------------------------------------------

    @property
    @abstractmethod
    def link(self) -> VirtualLink:
        """The way to the hub, which other pages may share."""

    @abstractmethod
    def _say(self, message: YjsMessage) -> None: ...

    @abstractmethod
    def _hang_up(self) -> None:
        """Nothing more is said of the document."""

    # -- what all Yjs clients say -------------------------------------------------------------------

    def _begin(self) -> None:
        """The hub listens: tell what is here, and who."""
        self._trace.note(self.name, f"page connects to {self.path}")
        self._say(SyncStep1(self._doc.get_state()))
        self._tell()

    def _changed(self, update: bytes) -> None:
        if not self._hearing:
            self._say(SyncUpdate(update))

    def _take(self, message: YjsMessage) -> None:
        match message:
            case SyncStep1(state_vector):
                self._say(SyncStep2(self._doc.get_update(state_vector)))
            case SyncStep2(update):
                self._hear(update)
                self.synced = self.was_synced = True
            case SyncUpdate(update):
                self._hear(update)
            case Awareness(states):
                for state in states:
                    if state.state == NOBODY:
                        self.people.pop(state.client, None)
                    elif state.client != self.client_id:
                        self.people[state.client] = state.state
            case QueryAwareness():
                self._tell()
            case PermissionDenied(reason):
                self._trace.note(self.name, f"page is denied {self.path}: {reason}")

    def _hear(self, update: bytes) -> None:
        self._hearing = True
        self._doc.apply_update(update)
        self._hearing = False

    def _interrupted(self) -> None:
        """Nothing is heard until ``_begin``."""
        self.synced = False
        self.people.clear()

    def _refuse(self, reason: str) -> None:
        self.refused = reason
        self._trace.note(self.name, f"page is refused {self.path}: {reason}")
        self.close()
        self.on_refused()

    # -- who is here --------------------------------------------------------------------------------

    def _tell(self) -> None:
        if self._state is not None:
            self._say(Awareness((ClientState(self.client_id, self._state_clock, self._state),)))

    def _tell_anew(self) -> None:
        self._state_clock += 1
        self._told_at_s = self._clock.now_s
        self._tell()

    def _tell_gone(self) -> None:
        self._state = NOBODY
        self._tell_anew()

    def _renew(self) -> None:
        """Every now and then, before the others forget who is here."""
        if self.open:
            if self._state is not None and self._clock.now_s - self._told_at_s >= RENEW_S:
                self._tell_anew()
            self._clock.after(CHECK_EVERY_S, self._renew)
