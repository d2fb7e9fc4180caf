"""A page with a Yjs document in it: what its person sees and does, and what every Yjs client says of it.

The document is kept while the page is offline. How it reaches the hub is left to ``yjs_page`` and
``hocuspocus_page``; what people type, to ``typists``.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from random import Random
from weakref import ref

from pycrdt import Doc, Text, TransactionEvent

from crdtsync.core.text.offsets import to_utf8
from crdtsync.core.wire.awareness import NOBODY
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
from crdtsync.testing.virtual_awareness import VirtualAwareness
from crdtsync.testing.virtual_network import VirtualLink

CHECK_EVERY_S = 3.0


class Page(ABC):
    """One document, open until ``close``. ``refused``: why the hub will not have it, which is for good.

    ``state``: what the others are told of who is here before anything is announced; None: nothing.
    """

    repeats = False
    """Whether it says again what it hears of others, as some clients do."""

    def __init__(
        self, name: str, clock: Clock, rng: Random, trace: Trace, room: str, path: str, state: str | None
    ) -> None:
        self.name = name
        self.room = room
        self.path = path
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
        self._awareness = VirtualAwareness(clock, self.client_id, state)

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

    @property
    def state(self) -> str | None:
        """Who is here, as the others are told; None: nobody."""
        return self._awareness.own_state

    @property
    def people(self) -> dict[int, str]:
        """The states of others, by their Yjs client ids."""
        return self._awareness.others

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
        self._tell_anew(json.dumps(state, ensure_ascii=False))

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

    @property
    def late(self) -> Mapping[int, str]:
        """States of pages of this link that are gone, by client, which were said or heard here after that."""
        return {}

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
        if self.state is not None:
            self._tell([self.client_id])

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
                news = self._awareness.take(states)
                if self.repeats:
                    self._tell(news)
            case QueryAwareness():
                self._tell(self._awareness.clients)
            case PermissionDenied(reason):
                self._trace.note(self.name, f"page is denied {self.path}: {reason}")

    def _hear(self, update: bytes) -> None:
        self._hearing = True
        self._doc.apply_update(update)
        self._hearing = False

    def _interrupted(self) -> None:
        """Nothing is heard until ``_begin``."""
        self.synced = False
        self._awareness.drop_others()

    def _refuse(self, reason: str) -> None:
        self.refused = reason
        self._trace.note(self.name, f"page is refused {self.path}: {reason}")
        self.close()
        self.on_refused()

    # -- who is here --------------------------------------------------------------------------------

    def _tell(self, clients: Sequence[int]) -> None:
        if clients:
            self._say(Awareness(self._awareness.told(clients)))

    def _tell_anew(self, state: str) -> None:
        self._awareness.announce(state)
        self._tell([self.client_id])

    def _tell_gone(self) -> None:
        self._tell_anew(NOBODY)

    def _renew(self) -> None:
        """Every now and then: say who is here, before the others forget it, and who was not heard of."""
        if self.open:
            if self.state is not None and self._awareness.is_due():
                self._tell_anew(self.state)
            self._tell(self._awareness.drop_outdated())
            self._clock.after(CHECK_EVERY_S, self._renew)
