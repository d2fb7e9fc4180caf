"""A member's outgoing queue as the engine sees it: how full it is, and notices owed to a slow reader."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from crdtsync.core.hub import bounds
from crdtsync.core.hub.shared import Lost, Shared
from crdtsync.core.values import limits
from crdtsync.core.wire.codec import encode_from_hub
from crdtsync.core.wire.control import Left, Presence, encode_control
from crdtsync.core.wire.messages import Committed, FromHub


class Outlet:
    """Sends frames to one member and counts what waits, by ``len``, until a ``sent`` takes it off."""

    def __init__(self, member: int, shared: Shared) -> None:
        self.queued = 0
        self.committed_is_due = False
        self._member = member
        self._shared = shared
        self._owed: dict[int, Presence | Left] = {}

    @property
    def is_low(self) -> bool:
        """Time to read on."""
        return self.queued <= bounds.QUEUE_LOW_BYTES

    @property
    def is_over(self) -> bool:
        return self.queued > bounds.QUEUE_HIGH_BYTES

    def has_room(self, size: int) -> bool:
        """Whether it takes that much more; an empty one takes anything that is a frame."""
        return not self.queued or self.queued + size <= bounds.QUEUE_HIGH_BYTES

    def take(self, size: int) -> bool:
        """Count that much more if it is low and has room."""
        queued = self.queued
        if queued and (queued > bounds.QUEUE_LOW_BYTES or queued + size > bounds.QUEUE_HIGH_BYTES):
            return False
        self.queued = queued + size
        return True

    def send(self, frame: bytes | str) -> None:
        self.queued += len(frame)
        self._shared.send((self._member,), frame)

    def say(self, message: FromHub) -> None:
        self.send(encode_from_hub(message))

    def sent(self, size: int) -> None:
        self.queued -= size
        if self._owed and self.is_low:
            owed, self._owed = self._owed, {}
            for presence in owed.values():
                self.send(_control_frame(presence))

    def presence(self, presence: Presence | Left) -> str | None:
        """The frame to send about another member; while the queue is full the latest of each is owed."""
        if self.is_over:
            self._owed[presence.member] = presence
            if len(self._owed) > bounds.OWED_MAX:
                self._shared.counts.dropped += 1
                self._shared.lost.append(Lost(self._member, 1013, "this member does not read"))
            return None
        self._owed.pop(presence.member, None)
        frame = _control_frame(presence)
        self.queued += len(frame)
        return frame

    def committed(self, sequence: int) -> bytes | None:
        """The frame to send; None while the queue is full: then it is due when there is room."""
        self.committed_is_due = self.is_over
        if self.is_over:
            return None
        frame = _committed_frame(sequence)
        self.queued += len(frame)
        return frame


@lru_cache(maxsize=64)
def _committed_frame(sequence: int) -> bytes:
    """The same object for all members of a room, so that it goes out to all at once."""
    return encode_from_hub(Committed(sequence))


@lru_cache(maxsize=64)
def _control_frame(message: Presence | Left) -> str:
    return encode_control(message)


def bounded(presence: Presence) -> Presence:
    """Drop cursors and then edited paths, the last first, until the message is within its limit."""
    while presence.cursors and len(encode_control(presence).encode()) > limits.PRESENCE_MAX_BYTES:
        presence = replace(presence, cursors=presence.cursors[:-1])
    while presence.editing and len(encode_control(presence).encode()) > limits.PRESENCE_MAX_BYTES:
        presence = replace(presence, editing=presence.editing[:-1])
    return presence
