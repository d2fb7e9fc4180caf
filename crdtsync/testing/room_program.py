"""A program that has a room in memory and no folder: the real engine on the virtual clock and network.

What such a program does is left to ``bots``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from random import Random
from typing import TypeVar

from crdtsync.core.replica.effects import Connect, Disconnect, Halt, SendBinary, SendText
from crdtsync.core.replica.events import BinaryFrame, Connected, Disconnected, TextFrame, Tick
from crdtsync.core.replica.session import Identity
from crdtsync.core.room.effects import Effect, Event, Settled, TextChanged
from crdtsync.core.room.engine import RoomEngine
from crdtsync.core.text.diff import Edit, apply_edits
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId
from crdtsync.testing.clock import Clock, Timer, Trace
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_network import VirtualLink

T = TypeVar("T")


class RoomProgram:
    """From its start to ``close``: what the hub has not heard by then is gone. ``name`` is told to others.

    The verbs raise CrdtsyncError where something is in the way.
    """

    def __init__(
        self,
        name: str,
        clock: Clock,
        rng: Random,
        trace: Trace,
        hub: VirtualHub,
        room: str,
        latency_s: float,
    ) -> None:
        self.name = name
        self.room = room
        self.open = True
        self.told: dict[EntryId, str] = {}
        self._settled: set[int] = set()
        self._clock = clock
        self._trace = trace
        self._hub = hub
        self._timer: Timer | None = None
        self._settling = 0
        self.link = VirtualLink(clock, rng, hub, self._connected, self._received, self._ended)
        self.link.latency_s = latency_s
        self.engine = RoomEngine(Identity(room, rng.randbytes(16).hex(), name, None, False), rng)
        self._carry_out(self.engine.start(clock.now_s))

    # -- what it sees -------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        return self.engine.caught_up

    def placements(self) -> Iterable[Placement]:
        return self.engine.files

    def at(self, path: str) -> Placement | None:
        return self.engine.files.at(path)

    def holds_below(self, path: str) -> bool:
        return self.engine.files.holds_below(path)

    def text(self, entry: EntryId) -> str:
        return self.engine.files.text(entry)

    def blob(self, placed: Placement) -> bytes:
        assert placed.version is not None
        return self._hub.blob_once(self.room, placed.version.digest)

    # -- what it does -------------------------------------------------------------------------------

    def open_text(self, placed: Placement) -> None:
        self.told[placed.entry] = self._act(lambda: self.engine.open(placed.entry))

    def close_text(self, entry: EntryId) -> None:
        del self.told[entry]
        self._act(lambda: self.engine.close(entry, 0))

    def edit(self, entry: EntryId, edit: Edit) -> None:
        self._act(lambda: self.engine.edit(entry, [edit], 0))

    def write(self, path: str, new: Callable[[str], str]) -> None:
        placed = self.at(path)
        before = self.text(placed.entry) if placed is not None and placed.kind is Kind.TEXT else ""
        self._act(lambda: self.engine.write_text(path, new(before)))

    def put_blob(self, path: str, data: bytes) -> None:
        """It brings the content to the hub first."""
        files, digest = self.engine.files, digest_of(data)
        self._act(lambda: files.put_blob(path, files.version(digest, len(data), digest)))
        self._hub.blobs[self.room, digest] = data

    def make_folder(self, path: str) -> None:
        self._act(lambda: self.engine.files.make_folder(path))

    def move(self, path: str, to: str) -> None:
        self._act(lambda: self.engine.files.move(path, to))

    def delete(self, path: str) -> None:
        self._act(lambda: self.engine.files.delete(path))

    def settle(self) -> int:
        """The number that ``is_settled`` once the hub has all of it, and it has all that the hub had."""
        self._settling += 1
        number = self._settling
        self._act(lambda: self.engine.settle(number))
        return number

    def is_settled(self, number: int) -> bool:
        return number in self._settled

    def close(self) -> None:
        self.open = False
        self.link.close()
        self._wind()

    # -- the engine ---------------------------------------------------------------------------------

    def _act(self, verb: Callable[[], T]) -> T:
        self._handle(Tick())  # so that the verb knows the time
        try:
            return verb()
        finally:
            self._handle(Tick())

    def _connected(self) -> None:
        self._handle(Connected())

    def _received(self, frame: bytes | str) -> None:
        self._handle(TextFrame(frame) if isinstance(frame, str) else BinaryFrame(frame))

    def _ended(self, reason: str) -> None:
        self._handle(Disconnected(reason))

    def _handle(self, event: Event) -> None:
        if not self.open:
            return
        self._trace.note(self.name, type(event).__name__)
        self._carry_out(self.engine.handle(event, self._clock.now_s))
        self._wind()

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.open and (deadline := self.engine.deadline) is not None:
            due_s = max(0.0, deadline - self._clock.now_s) + 1e-6
            self._timer = self._clock.after(due_s, lambda: self._handle(Tick()))

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendText(data) | SendBinary(data):
                    self.link.send(data)
                case Connect():
                    self.link.open()
                case Disconnect(reason):
                    self._clock.after(0.0, partial(self._drop, reason))
                case TextChanged(entry, edits) if entry in self.told:
                    self.told[entry] = apply_edits(self.told[entry], edits)
                case Settled(number):
                    self._settled.add(number)
                case Halt(message):
                    raise AssertionError(f"{self.name} is halted: {message}")
                case _:
                    pass

    def _drop(self, reason: str) -> None:
        if self.open:
            self.link.drop(reason)
