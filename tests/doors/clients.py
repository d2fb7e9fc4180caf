"""Yjs clients on the bench of the hub's engine: a document, an awareness, and frames of either protocol."""

from __future__ import annotations

import json
from collections import deque
from typing import Any, TypeAlias

from pycrdt import Doc, Text

from crdtsync.core.hub.admission import HERE
from crdtsync.core.hub.events import Connected, HocuspocusDoor, Sent, YjsDoor
from crdtsync.core.wire.awareness import NOBODY, ClientState
from crdtsync.core.wire.hocuspocus import (
    Named,
    Ping,
    Pong,
    SyncStatus,
    Token,
    encode_hocuspocus,
)
from crdtsync.core.wire.yjs import (
    Awareness,
    PermissionDenied,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    YjsMessage,
    decode_yjs,
    encode_yjs,
)
from crdtsync.testing.hocuspocus_answers import read_answer
from tests.hub.bench import Bench, Replica

Kind: TypeAlias = type[Any]


class Page:
    """What an editor in a page has: a document and who else is there."""

    def __init__(self, client_id: int) -> None:
        self.doc: Doc[Text] = Doc(client_id=client_id)
        self.content = self.doc.get("content", type=Text)
        self.people: dict[int, str] = {}
        self.client_id = client_id
        self.clock = 0
        self.last = Awareness(())

    @property
    def text(self) -> str:
        return str(self.content)

    def type(self, text: str, at: int | None = None) -> bytes:
        """ASCII only: pycrdt counts bytes. Returns the update."""
        before = self.doc.get_state()
        self.content.insert(len(self.content) if at is None else at, text)
        return self.doc.get_update(before)

    def erase(self, start: int, end: int) -> bytes:
        state, before = self.doc.get_state(), self.doc.get_update()
        del self.content[start:end]
        assert self.doc.get_update() != before
        return self.doc.get_update(state)

    def hear(self, message: object) -> None:
        match message:
            case SyncStep2(update) | SyncUpdate(update):
                self.doc.apply_update(update)
            case Awareness(states):
                for state in states:
                    if state.state == NOBODY:
                        self.people.pop(state.client, None)
                    else:
                        self.people[state.client] = state.state

    def present(self, name: str) -> Awareness:
        self.clock += 1
        state = json.dumps({"user": {"name": name}}, ensure_ascii=False)
        self.last = Awareness((ClientState(self.client_id, self.clock, state),))
        return self.last


class YjsClient(Replica):
    """A y-websocket client that answers as the real one does."""

    def __init__(
        self, bench: Bench, page: Page, path: str = "a.txt", room: str = "notes", token: str | None = None
    ) -> None:
        super().__init__(bench, len(bench.replicas) + 1)
        bench.replicas[self.number] = self
        self.page = page
        self._unsaid: deque[bytes] = deque()
        bench.do(Connected(self.number, HERE, YjsDoor(room, path, token)))
        bench.settle()
        if self.closed is None:
            self.say(SyncStep1(page.doc.get_state()))
            bench.settle()

    def say(self, message: YjsMessage) -> None:
        """Said now, or once the hub listens again, as on a socket."""
        self._unsaid.append(encode_yjs(message))
        if not self.paused:
            self.speak()

    @property
    def may_speak(self) -> bool:
        return bool(self._unsaid) and not self.paused

    def speak(self) -> None:
        while self.may_speak:
            self.bench.hear(self.number, self._unsaid.popleft())

    def type(self, text: str, at: int | None = None) -> None:
        self.say(SyncUpdate(self.page.type(text, at)))
        self.bench.settle()

    def erase(self, start: int, end: int) -> None:
        self.say(SyncUpdate(self.page.erase(start, end)))
        self.bench.settle()

    def take_one(self) -> None:
        frame = self.waiting.popleft()
        assert isinstance(frame, bytes)
        self.bench.do(Sent((self.number,), len(frame)))
        message = decode_yjs(frame)
        self.got.append(message)
        self.page.hear(message)
        if isinstance(message, SyncStep1) and self.closed is None:
            self.say(SyncStep2(self.page.doc.get_update(message.state_vector)))

    @property
    def synced(self) -> bool:
        return bool(self.all(SyncStep2))

    @property
    def denied(self) -> str:
        return self.one(PermissionDenied).reason


class HocuspocusClient(Replica):
    """A Hocuspocus provider's socket; ``pages`` by the names of its documents."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench, len(bench.replicas) + 1)
        bench.replicas[self.number] = self
        self.pages: dict[str, Page] = {}
        self.told: dict[str, list[Any]] = {}
        bench.do(Connected(self.number, HERE, HocuspocusDoor()))

    def say(self, frame: Named | Ping | Pong) -> None:
        if not self.paused:
            self.bench.hear(self.number, encode_hocuspocus(frame))
            self.bench.settle()

    def open(self, name: str, page: Page, token: str | None = "") -> None:
        self.pages[name] = page
        self.told.setdefault(name, [])
        if token is not None:
            self.say(Named(name, Token(token, "4.8.0")))
        self.say(Named(name, SyncStep1(page.doc.get_state())))

    def type(self, name: str, text: str) -> None:
        self.say(Named(name, SyncUpdate(self.pages[name].type(text))))

    def take_one(self) -> None:
        frame = self.waiting.popleft()
        assert isinstance(frame, bytes)
        self.bench.do(Sent((self.number,), len(frame)))
        answer = read_answer(frame)
        if not isinstance(answer, Named):
            self.got.append(answer)
            return
        name, message = answer.name, answer.message
        self.told.setdefault(name, []).append(message)
        page = self.pages.get(name)
        if page is None:
            return
        page.hear(message)
        if isinstance(message, SyncStep1):
            update = page.doc.get_update(message.state_vector)
            self.bench.hear(self.number, encode_hocuspocus(Named(name, SyncStep2(update))))

    def statuses(self, name: str) -> list[bool]:
        return [message.applied for message in self.told[name] if isinstance(message, SyncStatus)]

    def heard(self, name: str, kind: Kind) -> list[Any]:
        return [message for message in self.told[name] if isinstance(message, kind)]
