"""What the parts of the hub's engine share while they handle one event: effects, counters, load."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from crdtsync.core.hub.effects import Effect, Send
from crdtsync.core.hub.put_off import PutOff
from crdtsync.core.hub.store import Row

RefusalCode: TypeAlias = Literal["version", "room", "denied", "limit", "protocol", "shutdown"]


CLOSE_CODES: dict[RefusalCode, int] = {
    "version": 1008,
    "room": 1008,
    "denied": 1008,
    "limit": 1013,
    "protocol": 1002,
    "shutdown": 1001,
}
"""Websocket close codes by the code of the Refused that comes before."""


class Refusal(Exception):
    """A member asked for something it cannot have; it is told, and its connection ends."""

    def __init__(self, code: RefusalCode, message: str) -> None:
        super().__init__(message)
        self.code: RefusalCode = code
        self.message = message


@dataclass(slots=True)
class Counts:
    """What the hub has done since it started; read by whoever shows it."""

    updates: int = 0
    update_bytes: int = 0
    frames_sent: int = 0
    bytes_sent: int = 0
    fell_behind: int = 0
    """Times a member's queue was full and it was dropped to its cursor."""
    dropped: int = 0
    """Members let go because they did not read at all."""
    commit_failures: int = 0
    compactions: int = 0
    compacted_rows: int = 0
    resumed: int = 0
    compared: int = 0
    refusals: dict[str, int] = field(default_factory=dict)

    def refuse(self, code: str) -> None:
        """Count a refusal."""
        self.refusals[code] = self.refusals.get(code, 0) + 1


@dataclass(slots=True)
class Lost:
    """A member that the engine has to let go once the event is handled."""

    member: int
    code: int
    reason: str


class Shared:
    """Effects in order; ``uncommitted_bytes`` of all rooms; members to let go."""

    def __init__(self, counts: Counts) -> None:
        self.counts = counts
        self.effects: list[Effect] = []
        self.lost: list[Lost] = []
        self.uncommitted_bytes = 0
        self.held: dict[int, None] = {}
        """Members that wait for the disk to keep up."""
        self.touched: dict[str, None] = {}
        """Rooms with something to give, to store or to tell."""
        self.unstored: dict[str, Callable[[], list[Row]]] = {}
        """By room, how to take its rows for the next append."""
        self.put_off = PutOff()

    def add(self, effect: Effect) -> None:
        self.effects.append(effect)

    def send(self, members: tuple[int, ...], frame: bytes | str) -> None:
        self.counts.frames_sent += len(members)
        self.counts.bytes_sent += len(members) * len(frame)
        self.effects.append(Send(members, frame))

    def take(self) -> list[Effect]:
        effects, self.effects = self.effects, []
        return effects
