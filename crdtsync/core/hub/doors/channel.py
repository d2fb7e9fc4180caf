"""One document at one connection, and what a connection must be able to do for its documents.

A y-websocket connection has one channel, a Hocuspocus connection many. What is said on a channel is decided
by the desk; how it is said, by the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from crdtsync.core.hub import bounds
from crdtsync.core.hub.admission import Granted
from crdtsync.core.hub.rates import Allowance
from crdtsync.core.text import statevector
from crdtsync.core.values import limits
from crdtsync.core.values.ids import EntryId
from crdtsync.core.wire.yjs import SyncStep1, YjsMessage
from crdtsync.errors import PeerError


class Phase(StrEnum):
    ENTERING = "entering"
    """The room is being read."""
    READY = "ready"
    """The client is to say what it has."""
    ATTACHING = "attaching"
    """The text is being read."""
    PROVING = "proving"
    """The client is to show all that it has, which is none of the text."""
    OPEN = "open"
    CLOSED = "closed"


class Connection(Protocol):
    """A connection of a Yjs client, whatever protocol it speaks."""

    @property
    def number(self) -> int: ...

    @property
    def answers(self) -> bool:
        """Whether the client is told what of it is durable, by ``applied(…, True)``."""
        ...

    def encode(self, dialect: str, message: YjsMessage) -> bytes: ...

    def send(self, frame: bytes) -> None: ...

    @property
    def is_idle(self) -> bool:
        """All that was sent is with the network, so that it ``takes`` whatever comes next."""
        ...

    def takes(self, size: int) -> bool:
        """Count frames that go out to many; False, counting nothing, while it does not keep up."""
        ...

    def when_drained(self, then: Callable[[], None]) -> None:
        """Call it once everything that was sent is with the network."""
        ...

    def wait(self) -> None:
        """Take nothing from the client until as many ``go_on`` have come."""
        ...

    def go_on(self) -> None: ...

    def ready(self, channel: Channel) -> None:
        """The client may open the document."""
        ...

    def applied(self, channel: Channel, applied: bool) -> None:
        """The answer to a step 2 or an update: it is durable, or it was not taken."""
        ...

    def refuse(self, channel: Channel, code: int, reason: str) -> None:
        """The document is closed to this client; the desk has forgotten the channel.

        ``code``: of a websocket's close frame, 4400 to 4499 where trying again is of no use.
        """
        ...


class Channel:
    """``dialect``: two channels with the same dialect are told the same by the same bytes."""

    def __init__(
        self, number: int, connection: Connection, dialect: str, room: str, path: str, granted: Granted
    ) -> None:
        self.number = number
        self.connection = connection
        self.dialect = dialect
        self.room = room
        self.path = path
        """As the client names it; a file that is renamed stays open."""
        self.granted = granted
        self.announcements: Allowance | None = None
        """How often who is there may still be told; None before the first time."""
        self.phase = Phase.ENTERING
        self.held = statevector.EMPTY_STATE_VECTOR
        """What of the document it had already when it opened the text, as a state vector."""
        self.is_shared = False
        """Who had the document open on this connection before may yet say something."""
        self.has_shown = False
        """Whether it has said, once it had opened the document, what it has of that."""
        self.is_told_own = False
        """What is said here may be of who had the document open before: it is told here, too."""
        self.shown_later = 0
        """How many updates came before it showed all that it has: they are in that, and answered with it."""
        self.entry: EntryId | None = None
        """What it has open; None: nothing, or a file that is not made yet."""

    @property
    def returns(self) -> bool:
        """Whether it held something already when it opened the text."""
        return any(statevector.decode(self.held).values())

    def ready(self) -> None:
        """The client is to say what it has."""
        self.phase = Phase.READY
        self.connection.go_on()
        self.connection.ready(self)

    def attach(self) -> None:
        """The client waits until its text is known."""
        self.phase, self.entry = Phase.ATTACHING, None
        self.connection.wait()

    def prove(self) -> None:
        """The client is to show all that it has."""
        self.phase = Phase.PROVING
        self.connection.go_on()
        self.say(SyncStep1(statevector.EMPTY_STATE_VECTOR))

    def shows_later(self) -> None:
        """An update came before the client showed all that it has. Raises PeerError if it never does."""
        self.shown_later += 1
        if self.shown_later > bounds.SHOWN_LATER_MAX:
            raise PeerError(f"{self.shown_later} updates, and not yet all that it has, as it was asked for")

    def may_announce(self, now_s: float) -> bool:
        if self.announcements is None:
            self.announcements = Allowance(limits.AWARENESS_BURST, limits.AWARENESS_PER_S, now_s)
        return self.announcements.spend(now_s)

    def encode(self, message: YjsMessage) -> bytes:
        return self.connection.encode(self.dialect, message)

    def say(self, *messages: YjsMessage) -> None:
        self.connection.send(*map(self.encode, messages))
