"""A page with a y-websocket client in it: a Yjs document that it keeps while it is offline, and who is there.

It speaks as https://github.com/yjs/y-websocket (version 3) does; what people type is left to ``typists``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from weakref import ref

from pycrdt import Doc, Text, TransactionEvent

from crdtsync.core.hub.events import YjsDoor
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
    decode_yjs,
    encode_yjs,
)
from crdtsync.testing.clock import Clock, Trace
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_network import VirtualLink

BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 2.5
CHECK_EVERY_S = 3.0
SILENCE_MAX_S = 30.0
RENEW_S = 15.0


class YjsPage:
    """One document, open until ``close``. ``refused``: why the hub will not have it, which is for good."""

    def __init__(
        self, name: str, clock: Clock, rng: Random, trace: Trace, hub: VirtualHub, path: str, latency_s: float
    ) -> None:
        self.name = name
        self.path = path
        self.people: dict[int, str] = {}
        """The states of others, by their Yjs client ids."""
        self.open = True
        self.synced = False
        self.was_synced = False
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
                found._changed(event)

        self._subscription = self._doc.observe(changed)
        self._hearing = False
        self._failures = 0
        self._heard_at_s = clock.now_s
        self._state: str | None = None
        self._state_clock = 0
        self._told_at_s = 0.0
        self.link = VirtualLink(clock, rng, hub, self._opened, self._received, self._ended)
        self.link.latency_s = latency_s
        self.link.door = YjsDoor("room", path, None)
        self._connected = False
        self.link.open()
        self._check()

    # -- what its person sees and does --------------------------------------------------------------

    @property
    def text(self) -> str:
        return str(self._content)

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
        self._tell()

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
        if not self.open:
            return
        self.open = self._connected = self.synced = False
        self.link.close()
        self._doc.unobserve(self._subscription)

    # -- the protocol -------------------------------------------------------------------------------

    def _changed(self, event: TransactionEvent) -> None:
        if not self._hearing:
            self._say(SyncUpdate(event.update))

    def _say(self, message: YjsMessage) -> None:
        if self._connected:
            self.link.send(encode_yjs(message))

    def _opened(self) -> None:
        self._connected = True
        self._failures = 0
        self._heard_at_s = self._clock.now_s
        self._trace.note(self.name, f"page connects to {self.path}")
        self._say(SyncStep1(self._doc.get_state()))
        if self._state is not None:
            self._tell()

    def _received(self, frame: bytes | str) -> None:
        assert isinstance(frame, bytes), "Yjs clients are spoken to in binary frames only"
        self._heard_at_s = self._clock.now_s
        match decode_yjs(frame):
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
                if self._state is not None:
                    self._tell()
            case PermissionDenied(reason):
                self._trace.note(self.name, f"page is denied {self.path}: {reason}")

    def _hear(self, update: bytes) -> None:
        self._hearing = True
        self._doc.apply_update(update)
        self._hearing = False

    def _tell(self) -> None:
        assert self._state is not None
        self._state_clock += 1
        self._told_at_s = self._clock.now_s
        self._say(Awareness((ClientState(self.client_id, self._state_clock, self._state),)))

    def _ended(self, reason: str) -> None:
        self._connected = self.synced = False
        self.people.clear()
        if not self.open:
            return
        if 4400 <= self.link.close_code <= 4499:
            self.refused = reason
            self._trace.note(self.name, f"page is refused {self.path}: {reason}")
            self.close()
            self.on_refused()
            return
        delay_s = min(BACKOFF_FIRST_S * 2**self._failures, BACKOFF_MAX_S)
        self._failures += 1
        self._clock.after(delay_s, lambda: self.link.open() if self.open else None)

    def _check(self) -> None:
        """Every now and then: a connection on which nothing came is left, and the state told again."""
        if not self.open:
            return
        now_s = self._clock.now_s
        if self._connected and now_s - self._heard_at_s > SILENCE_MAX_S:
            self.link.cut()
        elif self._state is not None and now_s - self._told_at_s >= RENEW_S:
            self._tell()
        self._clock.after(CHECK_EVERY_S, self._check)
