"""A program with a room in memory, on the bench of the hub's engine."""

from __future__ import annotations

from random import Random

from crdtsync.core.hub import events as hub
from crdtsync.core.replica import effects as replica_effects
from crdtsync.core.replica.events import BinaryFrame, Connected, Disconnected, TextFrame, Tick
from crdtsync.core.replica.session import Identity
from crdtsync.core.room.effects import Effect, Event
from crdtsync.core.room.engine import RoomEngine
from tests.hub.bench import AT_MS, Bench, Replica


class Program:
    """``told`` is all that the program was told; what it says reaches the hub at once."""

    def __init__(self, bench: Bench, name: str = "bot", *, read_only: bool = False) -> None:
        self.bench = bench
        self.engine = RoomEngine(Identity("notes", f"of {name}", name, None, read_only), Random(name))
        self.told: list[Effect] = []
        self.line: Line | None = None
        self._carry_out(self.engine.start(bench.now))
        bench.settle()

    def handle(self, event: Event) -> None:
        self._carry_out(self.engine.handle(event, self.bench.now))

    def tick(self) -> None:
        """After a verb."""
        self.handle(Tick())
        self.bench.settle()

    def lose(self, reason: str = "the network") -> None:
        assert self.line is not None
        self.line.leave()
        self.line.reads, self.line = False, None
        self.handle(Disconnected(reason))
        self.bench.settle()

    def wait(self, seconds: float) -> None:
        self.bench.tick(seconds)
        self.tick()
        self.bench.tick()

    def all(self, kind: type[Effect]) -> list[Effect]:
        return [each for each in self.told if isinstance(each, kind)]

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            self.told.append(effect)
            line = self.line
            match effect:
                case replica_effects.Connect():
                    line = self.line = Line(self)
                    self.bench.replicas[line.number] = line
                    self.bench.do(hub.Connected(line.number))
                    self.handle(Connected())
                case replica_effects.SendText(data) if line is not None:
                    self.bench.do(hub.TextFrame(line.number, data))
                case replica_effects.SendBinary(data) if line is not None:
                    self.bench.do(hub.BinaryFrame(line.number, data, AT_MS))
                case _:
                    pass


class Line(Replica):
    """One connection of the program."""

    def __init__(self, program: Program) -> None:
        super().__init__(program.bench, len(program.bench.replicas) + 1)
        self._program = program

    def take_one(self) -> None:
        frame = self.waiting.popleft()
        self.bench.do(hub.Sent((self.number,), len(frame)))
        self._program.handle(TextFrame(frame) if isinstance(frame, str) else BinaryFrame(frame))
