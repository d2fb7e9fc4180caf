"""Every pair of deeds by people who do not know of each other, in every order of delivery.

Each deed is done on a disk that is cut off; then the replicas come back one after the other. Nothing is drawn
by chance. ``all_small_worlds`` runs what takes longer: all triples, and all pairs at every moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import permutations, product

import pytest

from crdtsync.core.replica import events as ev
from crdtsync.testing.oracles import Ledger, check_equal, check_nothing_doubled, check_nothing_lost
from crdtsync.testing.virtual_inodes import Inode, NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.simulation.scene import Scene

LINES = ["first line of the note", "second line of it", "third and last line"]


class SmallWorld(Scene):
    """Two or three people; ``note.md``, ``other.md`` and ``blob.bin`` are known to all."""

    def __init__(self, people: int) -> None:
        super().__init__()
        self.people = [self.a, self.b]
        if people == 3:
            self.people.append(self.third())
        self.ledger = Ledger()
        for path in ("note.md", "other.md"):
            self.write(
                self.a, path, "".join(f"{line} {self.ledger.new_token()}\n" for line in LINES).encode()
            )
        self.write(self.a, "blob.bin", b"\0" + self.ledger.new_token().encode())
        self.all_rest()

    def flush_all(self) -> list[tuple[VirtualReplica, int]]:
        return [(replica, replica.flush()) for replica in self.people]

    def until_flushed(self, numbers: list[tuple[VirtualReplica, int]]) -> None:
        done = self.within(300.0, lambda: all(number in replica.flushed for replica, number in numbers))
        assert done, "the flush does not end"

    def all_rest(self) -> None:
        self.until_flushed(self.flush_all())
        self.wait(2.0)

    # -- what people do, told to the ledger ---------------------------------------------------------------

    def write(self, who: VirtualReplica, path: str, data: bytes) -> None:
        node = who.disk.get(path)
        self.ledger.saved(who.name, b"" if node is None else node.data, data)
        self.save(who, path, data)

    def edit(self, who: VirtualReplica, path: str, line: int) -> None:
        node = who.disk.get(path)
        if node is None or node.kind is not NodeKind.FILE or b"\0" in node.data:
            return
        lines = node.data.splitlines(keepends=True)
        lines.insert(min(line, len(lines)), f"by {who.name} {self.ledger.new_token()}\n".encode())
        self.write(who, path, b"".join(lines))

    def rewrite(self, who: VirtualReplica, path: str, before: bytes) -> None:
        node = who.disk.get(path)
        if not who.disk.is_folder(path) and (node is None or node.kind is NodeKind.FILE):
            self.write(who, path, before + self.ledger.new_token().encode() + b"\n")

    def remove(self, who: VirtualReplica, path: str) -> None:
        node = who.disk.get(path)
        if node is not None and node.kind is not NodeKind.FOLDER:
            self.ledger.deleted(who.name, node.data)
            who.disk.take(path)

    def rename(self, who: VirtualReplica, path: str, target: str) -> None:
        node, there = who.disk.get(path), who.disk.get(target)
        if node is None or node.kind is NodeKind.FOLDER or who.disk.is_folder(target):
            return
        if there is not None:
            self.ledger.deleted(who.name, there.data)
        if "/" in target:
            who.disk.make_folder(target.rpartition("/")[0])
        self.ledger.moved(who.name, node.data)
        who.disk.rename(path, target)

    def swap(self, who: VirtualReplica) -> None:
        if who.disk.get("note.md") is not None and who.disk.get("other.md") is not None:
            for path in ("note.md", "other.md"):
                self.ledger.moved(who.name, self._at(who, path).data)
            who.disk.exchange("note.md", "other.md")

    def to_folder(self, who: VirtualReplica) -> None:
        if not who.disk.is_folder("note.md"):
            self.remove(who, "note.md")
            self.write(who, "note.md/inside.md", f"in {self.ledger.new_token()}\n".encode())

    def to_link(self, who: VirtualReplica) -> None:
        if who.disk.is_folder("note.md"):
            return
        self.remove(who, "note.md")
        who.disk.put("note.md", who.disk.new_inode(NodeKind.LINK, b"other.md"))

    def executable(self, who: VirtualReplica) -> None:
        node = who.disk.get("note.md")
        if node is not None and node.kind is NodeKind.FILE:
            who.disk.set_executable("note.md", True)

    def third(self) -> VirtualReplica:
        other = VirtualReplica("c", self.clock, self.streams["c"], self.trace, self.hub, "plain")
        other.start()
        return other

    def _at(self, who: VirtualReplica, path: str) -> Inode:
        node = who.disk.get(path)
        assert node is not None
        return node

    def judge(self) -> None:
        self.all_rest()
        check_equal(self.people)
        check_nothing_lost(self.ledger, self.people)
        check_nothing_doubled(self.people)


Deed = Callable[[SmallWorld, VirtualReplica], None]

DEEDS: dict[str, Deed] = {
    "edit above": lambda world, who: world.edit(who, "note.md", 0),
    "edit below": lambda world, who: world.edit(who, "note.md", 9),
    "replace all": lambda world, who: world.rewrite(who, "note.md", b"all new "),
    "make it binary": lambda world, who: world.rewrite(who, "note.md", b"\0"),
    "delete": lambda world, who: world.remove(who, "note.md"),
    "rename": lambda world, who: world.rename(who, "note.md", "new.md"),
    "move into a folder": lambda world, who: world.rename(who, "note.md", "sub/note.md"),
    "rename over the other": lambda world, who: world.rename(who, "note.md", "other.md"),
    "exchange with the other": lambda world, who: world.swap(who),
    "make a folder of it": lambda world, who: world.to_folder(who),
    "make a link of it": lambda world, who: world.to_link(who),
    "executable": lambda world, who: world.executable(who),
    "create new": lambda world, who: world.rewrite(who, "new.md", b"created "),
    "replace the blob": lambda world, who: world.rewrite(who, "blob.bin", b"\0new "),
    "delete the blob": lambda world, who: world.remove(who, "blob.bin"),
    "edit the other": lambda world, who: world.edit(who, "other.md", 1),
}


def apart(deeds: Sequence[str], order: Sequence[int] | None) -> None:
    """Each does a deed while cut off; they come back in this order, each once the last is at rest, or all
    at once."""
    world = SmallWorld(len(deeds))
    for replica in world.people:
        replica.link.unplug()
    for replica, deed in zip(world.people, deeds, strict=True):
        DEEDS[deed](world, replica)
    world.wait(5.0)
    for index in range(len(deeds)) if order is None else order:
        world.people[index].link.online = True
        world.people[index].handle(ev.NetworkChanged())
        if order is not None:
            world.wait(5.0)
    world.judge()


def at_every_moment(first: str, second: str) -> int:
    """One does a deed, and the other does one before each of the events that follow. Returns how many."""
    moment = 0
    while True:
        world = SmallWorld(2)
        a, b = world.people
        done = False

        def other(world: SmallWorld = world, b: VirtualReplica = b) -> None:
            nonlocal done
            done = True
            DEEDS[second](world, b)

        DEEDS[first](world, a)
        numbers = world.flush_all()
        world.clock.after_events(moment, other)
        world.until_flushed(numbers)
        if not done:
            return moment
        world.judge()
        moment += 1


def worlds(people: int) -> Iterator[tuple[tuple[str, ...], tuple[int, ...] | None]]:
    for deeds in product(DEEDS, repeat=people):
        for order in (None, *permutations(range(people))):
            yield deeds, order


@pytest.mark.parametrize("first", DEEDS)
def test_two_deeds_apart_in_every_order_of_return(first: str) -> None:
    broken = []
    for deeds, order in worlds(2):
        if deeds[0] == first:
            try:
                apart(deeds, order)
            except AssertionError as error:
                broken.append(f"{deeds} {order}: {error}")
    assert not broken, "\n".join(broken)


SLICE = [("edit above", "edit below"), ("rename", "edit below"), ("delete", "edit above")]


@pytest.mark.parametrize(("first", "second"), SLICE)
def test_a_second_deed_at_every_moment_of_the_first(first: str, second: str) -> None:
    assert at_every_moment(first, second) > 20
