"""A y-websocket connection: one document, named by its address."""

from __future__ import annotations

from crdtsync.core.hub.admission import Granted
from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.doors.codes import MALFORMED
from crdtsync.core.hub.doors.connection import Wire
from crdtsync.core.hub.doors.desk import Desk
from crdtsync.core.hub.shared import Shared
from crdtsync.core.wire.yjs import PermissionDenied, YjsMessage, decode_yjs, encode_yjs, short_update
from crdtsync.errors import PeerError

READ_ONLY = "You may read this file, not change it: nothing was stored."


class YjsConnection(Wire):
    """Ends with a code and a reason, which the client gives the page (``connection-close``, ``closed``)."""

    answers = False

    def __init__(self, number: int, shared: Shared) -> None:
        super().__init__(number, shared)
        self._channel: Channel | None = None
        self._desk: Desk | None = None
        self._warned = False

    def open(self, channel_number: int, desk: Desk, path: str, granted: Granted) -> None:
        self._desk = desk
        self._channel = Channel(channel_number, self, "", desk.name, path, granted)
        desk.open(self._channel)

    def binary(self, data: bytes, at_ms: int) -> None:
        if self._channel is None or self._desk is None:
            return
        try:
            self._desk.hear(self._channel, decode_yjs(data), at_ms)
        except PeerError as error:
            self.deny(MALFORMED, f"The hub cannot read what this client sent: {error}.")

    def tell_ahead(self, data: bytes) -> None:
        update = short_update(data)
        if update is not None and self._channel is not None and self._desk is not None:
            self._desk.tell_ahead(self._channel, update, data)

    def leave(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None and self._desk is not None:
            self._desk.close(channel)

    def deny(self, code: int, reason: str) -> None:
        """End the connection. Older clients only look at the message, newer ones at the code."""
        self.send(encode_yjs(PermissionDenied(reason)))
        self.end(code, reason)

    # -- from the desk --------------------------------------------------------------------------------

    def encode(self, dialect: str, message: YjsMessage) -> bytes:
        return encode_yjs(message)

    def ready(self, channel: Channel) -> None:
        pass

    def applied(self, channel: Channel, applied: bool) -> None:
        """The protocol has no answer; who may only read is warned once."""
        if not applied and channel.granted.read_only and not self._warned:
            self._warned = True
            channel.say(PermissionDenied(READ_ONLY))

    def refuse(self, channel: Channel, code: int, reason: str) -> None:
        self._channel = None
        self.deny(code, reason)
