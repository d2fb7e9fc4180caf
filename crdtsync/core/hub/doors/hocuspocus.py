"""A Hocuspocus connection: many documents on one socket, each admitted and closed by itself."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar, assert_never

from crdtsync.core.hub.admission import Denied, Granted
from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.doors.codes import MALFORMED, TRY_AGAIN
from crdtsync.core.hub.doors.connection import Wire
from crdtsync.core.hub.doors.desk import Desk
from crdtsync.core.hub.shared import Shared
from crdtsync.core.text.statevector import EMPTY_STATE_VECTOR
from crdtsync.core.values import limits
from crdtsync.core.wire.hocuspocus import (
    Authenticated,
    CloseDocument,
    Message,
    Named,
    Ping,
    Pong,
    Stateless,
    SyncStatus,
    Token,
    decode_hocuspocus,
    document_of,
    encode_hocuspocus,
)
from crdtsync.core.wire.yjs import PermissionDenied, SyncStep1, SyncStep2, SyncUpdate, YjsMessage
from crdtsync.errors import PeerError

T = TypeVar("T")


class HocuspocusConnection(Wire):
    """``admit(room, path, token)`` decides on a document; ``desk(room)`` is the desk, or why there is none.

    ``later(seconds, what)`` does something after a while, unless the connection is gone by then.
    """

    answers = True

    def __init__(
        self,
        number: int,
        shared: Shared,
        admit: Callable[[str, str, str], Granted | Denied],
        desk: Callable[[str], Desk | str],
        take_number: Callable[[], int],
        later: Callable[[float, Callable[[], None]], None],
    ) -> None:
        super().__init__(number, shared)
        self._admit = admit
        self._desk = desk
        self._take_number = take_number
        self._later = later
        self._channels: dict[str, tuple[Channel, Desk]] = {}
        self._denied: dict[str, None] = {}
        """Documents that were denied or refused: what else comes for them is ignored until the next token."""
        self._closed: dict[str, Channel] = {}
        """What the client had open and has closed; ``shown_later`` counts what was said of it since."""
        self._first: dict[int, SyncStep1] = {}
        """What a client of version 2 without a token begins with, until its document may be opened."""

    def binary(self, data: bytes, at_ms: int) -> None:
        try:
            match decode_hocuspocus(data):
                case Ping():
                    self.send(encode_hocuspocus(Pong()))
                case Pong():
                    pass
                case Named(name, message):
                    self._hear(name, message, at_ms)
                case other:
                    assert_never(other)
        except PeerError as error:
            self.end(1002, f"The hub cannot read what this client sent: {error}.")

    def tell_ahead(self, data: bytes) -> None:
        with suppress(PeerError):
            match decode_hocuspocus(data):
                case Named(name, SyncUpdate(update)) if (known := self._channels.get(name)) is not None:
                    channel, desk = known
                    if channel.has_shown:
                        desk.tell_ahead(channel, update, channel.encode(SyncUpdate(update)))

    def leave(self) -> None:
        channels, self._channels = self._channels, {}
        for channel, desk in channels.values():
            desk.close(channel)

    def deny(self, code: int, reason: str) -> None:
        """End the whole connection."""
        self.end(code, reason)

    # -- from the client ------------------------------------------------------------------------------

    def _hear(self, name: str, message: Message, at_ms: int) -> None:
        known = self._channels.get(name)
        match message:
            case Token(token):
                self._denied.pop(name, None)
                self._open(name, token, None)
            case CloseDocument():
                self._denied.pop(name, None)
                if (closed := self._drop(name)) is not None:
                    _remember(self._closed, name, closed)
            case SyncStep1() if known is None and name not in self._denied:
                self._open(name, "", message)
            case SyncUpdate() if (closed := self._closed.get(name)) is not None:
                closed.shows_later()
            case SyncStep2() if (closed := self._closed.get(name)) is not None:
                self._reopen(name, closed)
            case Stateless():
                if known is not None:
                    self._pass_on(*known, message)
            case _:
                assert not isinstance(message, Authenticated | SyncStatus), "these are not decoded"
                if known is not None:
                    channel, desk = known
                    if isinstance(message, SyncStep2):
                        channel.has_shown = True
                    elif isinstance(message, SyncUpdate) and not channel.has_shown:
                        channel.is_told_own = True  # it may have waited since before the connection
                    desk.hear(channel, message, at_ms)

    def _open(self, name: str, token: str, first: SyncStep1 | None) -> None:
        closed = self._closed.pop(name, None)
        room, _, path = document_of(name).partition("/")
        granted = self._admit(room, path, token)
        known = self._channels.get(name)
        if isinstance(granted, Denied):
            self._drop(name)
            _remember(self._denied, name, None)
            self.wait()
            self._later(granted.after_s, lambda: self._tell_denied(name, granted.reason))
        elif known is not None:
            known[0].granted = granted
            self.ready(known[0])
        else:
            self._let_in(name, granted, first, is_shared=closed is not None)

    def _reopen(self, name: str, closed: Channel) -> None:
        """Only who has a document open answers a step 1: another had closed it, which was said late.

        A client says what it had to say while it was offline after it has opened its documents anew. Whoever
        opened this one since then shows all that it has, and is shown all that there is.
        """
        del self._closed[name]
        self._let_in(name, closed.granted, SyncStep1(EMPTY_STATE_VECTOR), closed.shown_later)

    def _let_in(
        self,
        name: str,
        granted: Granted,
        first: SyncStep1 | None,
        shown_later: int = 0,
        *,
        is_shared: bool = False,
    ) -> None:
        room, _, path = document_of(name).partition("/")
        if len(self._channels) >= limits.DOCUMENTS_PER_CONNECTION_MAX:
            self._say(name, PermissionDenied("This connection has as many documents open as it may."))
        elif isinstance(desk := self._desk(room), str):
            _remember(self._denied, name, None)
            self._say(name, PermissionDenied(desk))
        else:
            channel = Channel(self._take_number(), self, name, room, path, granted)
            channel.shown_later, channel.is_shared, channel.is_told_own = shown_later, is_shared, is_shared
            self._channels[name] = (channel, desk)
            if first is not None:
                self._first[channel.number] = first
            desk.open(channel)

    def _drop(self, name: str) -> Channel | None:
        known = self._channels.pop(name, None)
        if known is None:
            return None
        channel, desk = known
        self._first.pop(channel.number, None)
        desk.close(channel)
        return channel

    def _tell_denied(self, name: str, reason: str) -> None:
        self._say(name, PermissionDenied(reason))
        self.go_on()

    def _pass_on(self, channel: Channel, desk: Desk, message: Stateless) -> None:
        """What an application says to its like, who have the document open and speak this protocol."""
        for each in desk.texts.neighbours(channel):
            if isinstance(each.connection, HocuspocusConnection):
                each.connection._say(each.dialect, message)

    # -- from the desk --------------------------------------------------------------------------------

    def encode(self, dialect: str, message: YjsMessage) -> bytes:
        return encode_hocuspocus(Named(dialect, message))

    def ready(self, channel: Channel) -> None:
        self._say(channel.dialect, Authenticated(channel.granted.read_only))
        first = self._first.pop(channel.number, None)
        if first is not None:
            self._channels[channel.dialect][1].hear(channel, first, 0)

    def applied(self, channel: Channel, applied: bool) -> None:
        self._say(channel.dialect, SyncStatus(applied))

    def refuse(self, channel: Channel, code: int, reason: str) -> None:
        """Only this document ends; for a reason that may pass the connection, so that the client returns."""
        name = channel.dialect
        self._channels.pop(name, None)
        self._first.pop(channel.number, None)
        if code == TRY_AGAIN:
            self.end(code, reason)
            return
        _remember(self._denied, name, None)
        self._say(name, CloseDocument(reason) if code == MALFORMED else PermissionDenied(reason))

    def _say(self, name: str, message: Message) -> None:
        self.send(encode_hocuspocus(Named(name, message)))


def _remember(documents: dict[str, T], name: str, what: T) -> None:
    documents[name] = what
    if len(documents) > limits.DOCUMENTS_PER_CONNECTION_MAX:
        del documents[next(iter(documents))]
