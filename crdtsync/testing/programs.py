"""All whose programs use the library in one room, and what these programs must have been told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import Final

from crdtsync.core.tree.view import Placement
from crdtsync.core.values.digests import Digest, digest_of, encode_text
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId
from crdtsync.testing.bots import DEEDS, WITH_BLOBS, Bot, Program
from crdtsync.testing.folder_program import FolderProgram
from crdtsync.testing.oracles import Broken
from crdtsync.testing.room_program import RoomProgram
from crdtsync.testing.setting import Setting
from crdtsync.testing.unkept import Unkept
from crdtsync.testing.virtual_network import VirtualLink
from crdtsync.testing.virtual_replica import VirtualReplica

LATENCIES_S: Final = (0.0005, 0.005, 0.05, 0.3)

Shown = dict[str, tuple[Kind, Digest | None, bool]]


class Programs:
    def __init__(self, setting: Setting, replicas: Sequence[VirtualReplica], unkept: Unkept) -> None:
        self.bots: list[Bot] = []
        self._setting = setting
        self._replicas = replicas
        self._unkept = unkept
        unkept.holders.append(lambda: ((bot.name, bot.texts()) for bot in self.bots))

    def open(self, count: int, *, blobs: bool) -> None:
        """So many more start one. ``blobs``: not where a hub may lose them, for nobody else has them."""
        its = self._setting
        for number in range(count):
            rng = its.streams[f"bot {its.prefix}{number}"]
            joined = rng.random() < 0.5
            at = rng.choice(self._replicas)
            name = f"{at.name}+{number}" if joined else f"{its.prefix}r{number}"
            start: Callable[[], Program]
            start = partial(self._joined, name, at) if joined else self._starting(name, rng)
            deeds = WITH_BLOBS if blobs and not joined else DEEDS
            left = self._unkept.something_went
            self.bots.append(Bot(name, rng, its.trace, its.ledger, start, left, deeds))

    def _joined(self, name: str, at: VirtualReplica) -> FolderProgram:
        return FolderProgram(
            at, self._setting.clock, lambda text: self._setting.ledger.deleted(name, text.encode())
        )

    def _starting(self, name: str, rng: Random) -> Callable[[], RoomProgram]:
        latency_s = rng.choice(LATENCIES_S)
        return lambda: RoomProgram(
            name,
            self._setting.clock,
            rng,
            self._setting.trace,
            self._setting.hub,
            self._setting.room,
            latency_s,
        )

    @property
    def links(self) -> list[VirtualLink]:
        """Of those that have no folder."""
        return [program.link for program in self._rooms]

    @property
    def _rooms(self) -> list[RoomProgram]:
        return [bot.program for bot in self.bots if isinstance(bot.program, RoomProgram)]

    def told_who_is_here(self) -> dict[str, list[str]]:
        """The names that each of those without a folder is told."""
        return {program.name: [peer.name for peer in program.engine.status.peers] for program in self._rooms}

    def calm(self) -> None:
        """From here on all programs run, and the network works."""
        for bot in self.bots:
            bot.go_on()

    def settle(self) -> Callable[[], bool]:
        """Returns what tells whether all have settled from here on."""
        asked = [(bot.program, bot.program.settle()) for bot in self.bots]
        return lambda: all(program.is_settled(number) for program, number in asked)

    def activity(self) -> tuple[object, ...]:
        return tuple(tuple(sorted(seen_by(program).items())) for program in self._rooms)

    def judge(self, replica: VirtualReplica) -> None:
        """Each has been told of all, and has what the replicas have."""
        for bot in self.bots:
            bot.check_told()
        for program in self._rooms:
            check_same(room_of(replica), seen_by(program), f"{program.name} has")

    def take_turn(self, bot: Bot, settle: Callable[[], None]) -> None:
        """One of them does one thing while everyone is at rest: everyone gets just that."""
        bot.take_turn()
        program = bot.program
        expected = seen_by(program) if isinstance(program, RoomProgram) else None
        settle()
        if expected is not None:
            check_same(expected, room_of(self._replicas[0]), f"{bot.name} did one thing: there is")


def check_same(expected: Shown, found: Shown, who: str) -> None:
    """Raises Broken."""
    for path in sorted(expected.keys() | found.keys()):
        if expected.get(path) != found.get(path):
            raise Broken("program", f"{who} {found.get(path)} at {path}, not {expected.get(path)}")


def seen_by(program: RoomProgram) -> Shown:
    return _shown(program.placements(), program.text, program.holds_below)


def room_of(replica: VirtualReplica) -> Shown:
    assert replica.engine is not None
    state = replica.engine.state
    room = state.view.room
    return _shown(room.placements.values(), state.documents.text, room.holds_below)


def _shown(
    placements: Iterable[Placement], text_of: Callable[[EntryId], str], holds_below: Callable[[str], bool]
) -> Shown:
    """By path: kind, digest, whether it is executable. Folders that hold something are there by that."""
    found: Shown = {}
    for each in placements:
        digest = None if each.version is None else each.version.digest
        if each.kind is Kind.TEXT:
            digest = digest_of(encode_text(text_of(each.entry)))
        if each.kind is not Kind.DIR or not holds_below(each.path):
            found[each.path] = each.kind, digest, each.executable
    return found
