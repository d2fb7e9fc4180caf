"""Drives two members of a room and their hub by hand: no socket, no disk, no clock, no thread.

python examples/by_hand.py

The engines of crdtsync are functions of what happens and of the time: ``handle(event, now) -> effects``.
Whoever has an event loop, a protocol or a test bench of their own carries the frames as it suits them.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable

from crdtsync.core.replica import effects, events
from crdtsync.core.replica.session import Identity
from crdtsync.core.room.engine import RoomEngine
from crdtsync.testing.clock import Clock, Trace
from crdtsync.testing.virtual_hub import Line, VirtualHub


class Member:
    """One engine, and what is on its way to it."""

    def __init__(self, name: str, hub: VirtualHub, clock: Clock) -> None:
        identity = Identity(room="notes", replica=name, name=name, token=None)
        self.engine = RoomEngine(identity, random.Random(name))
        self.hub = hub
        self.clock = clock
        self.received: deque[str | bytes] = deque()
        self.carry_out(self.engine.start(clock.now_s))

    def carry_out(self, asked: Iterable[object]) -> None:
        for effect in asked:
            match effect:
                case effects.Connect():
                    line = Line(deliver=self.received.append, ended=lambda reason: None)
                    self.number = self.hub.connect(line)
                    self.handle(events.Connected())
                case effects.SendText(frame) | effects.SendBinary(frame):
                    self.hub.take(self.number, frame)

    def handle(self, event: events.Connected | events.TextFrame | events.BinaryFrame | events.Tick) -> None:
        self.carry_out(self.engine.handle(event, self.clock.now_s))

    def hear(self) -> None:
        while self.received:
            frame = self.received.popleft()
            self.handle(events.TextFrame(frame) if isinstance(frame, str) else events.BinaryFrame(frame))


def main() -> dict[str, str]:
    """What both have in the end."""
    clock = Clock()
    hub = VirtualHub(clock, random.Random(1), Trace(clock))
    hub.start()
    ann, bob = Member("Ann", hub, clock), Member("Bob", hub, clock)

    def until_quiet() -> None:
        for _ in range(100):
            clock.run_until(clock.now_s + 0.01)
            for member in (ann, bob):
                member.hear()
                member.handle(events.Tick())

    until_quiet()
    ann.engine.files.make_text("todo.md", "milk\n")
    until_quiet()
    bob.engine.write_text("todo.md", "milk\nbread\n")
    ann.engine.write_text("todo.md", "2 l of milk\n")  # neither knows of the other's edit
    until_quiet()
    return {
        name: member.engine.files.text(member.engine.files.text_at("todo.md"))
        for name, member in (("Ann", ann), ("Bob", bob))
    }


if __name__ == "__main__":
    for name, text in main().items():
        print(f"{name} has {text!r}")
