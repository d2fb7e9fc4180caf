"""A replica that is killed before or after each of its transactions: all have what was done, in the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations

import pytest

from crdtsync.core.replica.records import Record
from crdtsync.testing.memory_store import MemoryReplicaStore
from crdtsync.testing.oracles import picture
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_kernel import Killed
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.replica.stories import LINES
from tests.simulation.scene import Scene
from tests.simulation.test_crash_points import DEEDS, rename


class DyingStore(MemoryReplicaStore):
    """Once ``armed`` it counts transactions, and calls ``end`` with the number of each, from 0."""

    def __init__(self, end: Callable[[int], None], committed: bool) -> None:
        """``committed``: ``end`` is called after the transaction, else before it."""
        super().__init__()
        self.armed = False
        self.count = 0
        self._end = end
        self._committed = committed

    def persist(self, records: Sequence[Record]) -> None:
        if not self.armed:
            super().persist(records)
            return
        self.count += 1
        if self._committed:
            super().persist(records)
            self._end(self.count - 1)
        else:
            self._end(self.count - 1)
            super().persist(records)


def ending_at(scene: Scene, replica: VirtualReplica, at: int | None, committed: bool) -> DyingStore:
    """From here on the replica dies at that transaction, once it is committed or before."""

    def end(number: int) -> None:
        if number == at:
            replica.kill()
            scene.clock.after(0.1, replica.start)
            raise Killed

    replica.kill()
    store = DyingStore(end, committed)
    store.take_over(replica.store)
    replica.store = store
    replica.start()
    scene.rest()
    store.armed = True
    return store


def told(deed: str, who: str, at: int | None, committed: bool) -> int:
    """One deed at ``a``, while ``who`` dies at that transaction; how many there were."""
    scene = Scene()
    for path, content in (("note.md", LINES), ("other.md", "other\n"), ("old.bin", b"\0old")):
        scene.save(scene.a, path, content)
    scene.a.disk.make_folder("empty")
    scene.rest()
    store = ending_at(scene, scene.a if who == "a" else scene.b, at, committed)
    DEEDS[deed](scene)
    scene.wait(3.0)
    wanted = picture(scene.a)
    scene.rest()
    assert picture(scene.b) == picture(scene.a) == wanted
    return store.count


@pytest.mark.parametrize("who", ["a", "b"])
@pytest.mark.parametrize("deed", DEEDS)
def test_wherever_a_replica_dies_among_its_transactions_all_have_what_was_done(deed: str, who: str) -> None:
    count = told(deed, who, None, False)
    assert count > 0
    for at in range(count):
        for committed in (False, True):
            told(deed, who, at, committed)


def test_a_file_saved_where_one_stood_that_was_moved_before_a_kill_is_another() -> None:
    scene = Scene()
    scene.save(scene.a, "note.md", LINES)
    scene.rest()
    ending_at(scene, scene.b, 1, False)  # the one that would tell that the move was done
    rename(scene.a, "note.md", "y/moved.md")
    assert scene.within(20.0, lambda: not scene.b.running)
    assert scene.paths(scene.b) == ["y/moved.md"]
    scene.save(scene.b, "note.md", LINES + "another\n")  # which is much like it
    scene.wait(3.0)
    scene.rest()
    assert scene.read(scene.a, "y/moved.md") == LINES
    assert scene.read(scene.a, "note.md") == LINES + "another\n"


CONTENTS = {
    "text": (NodeKind.FILE, LINES.encode()),
    "blob": (NodeKind.FILE, b"\0another"),
    "link": (NodeKind.LINK, b"a target"),
}


@pytest.mark.parametrize(("was", "then"), [*permutations(CONTENTS, 2)])
def test_something_else_made_where_one_stood_that_was_moved_before_a_kill_replaces_nothing(
    was: str, then: str
) -> None:
    scene = Scene()
    scene.a.disk.put("e", scene.a.disk.new_inode(*CONTENTS[was]))
    scene.rest()
    ending_at(scene, scene.b, 1, False)  # the one that would tell that the move was done
    rename(scene.a, "e", "y/e")
    assert scene.within(20.0, lambda: not scene.b.running)
    assert scene.paths(scene.b) == ["y/e"]
    scene.b.disk.put("e", scene.b.disk.new_inode(*CONTENTS[then]))
    scene.wait(3.0)
    scene.rest()
    assert scene.read(scene.a, "y/e") == CONTENTS[was][1].decode()
    assert scene.read(scene.a, "e") == CONTENTS[then][1].decode()
    assert not scene.a.machine.trashed() and not scene.b.machine.trashed()
