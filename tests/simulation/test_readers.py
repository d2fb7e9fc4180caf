"""Random lives of a replica that may only read: it sends nothing, loses nothing, and follows."""

from __future__ import annotations

from random import Random

import pytest

from crdtsync.testing.virtual_inodes import Inode, NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica
from tests.simulation.scene import Scene

STEPS = 40
NEW = ["n0.txt", "n1.txt", "m/x.txt", "b2.bin", "own.txt"]
RENAMED = ["r0.txt", "r1.txt", "n0.txt"]


class Life(Scene):
    """``a`` writes and ``b`` reads; what either does bears a character that occurs nowhere else."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = Random(seed)
        self.kept: dict[bytes, bool] = {}
        """The tokens of b; False: b itself took it away."""
        for number in range(4):
            self.save(self.a, f"f{number}.txt", "".join(f"line {line}\n" for line in range(6)))
        self.save(self.a, "b.bin", b"\0 0")
        self.save(self.a, "d/e.txt", "deep\n")
        self.rest()
        self.b.kill()
        self.b.read_only = True
        self.b.start()
        self.rest_apart()

    def nodes(self, replica: VirtualReplica) -> dict[str, Inode]:
        return {path: node for path, node in replica.disk.files() if node.kind is NodeKind.FILE}

    def step(self, number: int) -> None:
        replica = self.rng.choice([self.a, self.b])
        if replica is self.b and self.rng.random() < 0.1:
            self.b.kill_within_effects(self.rng.randint(1, 5))
            self.wait(1.0)
            self.b.kill()
            self.b.start()
        else:
            self.change(replica, chr(0x20000 + number).encode())
        self.wait(self.rng.choice([0, 0.001, 0.01, 0.1, 0.5, 2.0]))

    def change(self, replica: VirtualReplica, token: bytes) -> None:
        """Something that a person does."""
        files, rng, disk = self.nodes(replica), self.rng, replica.disk
        path = rng.choice([*files, *NEW])
        what = rng.choice(["edit", "edit", "edit", "new", "delete", "rename", "blob"])
        if what == "new" or path not in files:
            self.put(replica, rng.choice(NEW), token + b"\n" if rng.random() < 0.7 else b"\0" + token, token)
        elif what == "blob":
            self.put(replica, "b.bin", b"\0" + token, token)
        elif what == "delete":
            self.gone(replica, path)
            disk.take(path)
        elif what == "rename":
            target = rng.choice(RENAMED)
            if target != path and not disk.is_folder(target):
                self.gone(replica, target)
                disk.rename(path, target)
        elif b"\0" not in files[path].data:
            lines = files[path].data.splitlines(keepends=True)
            lines.insert(rng.randint(0, len(lines)), token + b"\n")
            self.put(replica, path, b"".join(lines), token, keeps=True)

    def put(self, replica: VirtualReplica, path: str, data: bytes, token: bytes, keeps: bool = False) -> None:
        if replica.disk.is_folder(path):
            return
        if not keeps:
            self.gone(replica, path)
        if replica is self.b:
            self.kept[token] = True
        self.save(replica, path, data)

    def gone(self, replica: VirtualReplica, path: str) -> None:
        """Whoever sits at the replica takes away what is in the file."""
        node = replica.disk.get(path)
        if replica is self.b and node is not None:
            self.kept |= dict.fromkeys([token for token in self.kept if token in node.data], False)

    def judge(self) -> None:
        assert self.b.engine is not None
        status = self.b.engine.status
        held = {each.path for each in status.attention if each.kind == "held"}
        room = {path: node.data for path, node in self.nodes(self.a).items()}
        here = {path: node.data for path, node in self.nodes(self.b).items()}
        assert status.settled and len(held) == len(status.attention), status
        assert not [token for token in self.kept if any(token in data for data in room.values())], "sent"
        everything = [*here.values(), *self.b.machine.trashed()]
        kept = [token for token, is_kept in self.kept.items() if is_kept]
        assert not [token for token in kept if not any(token in data for data in everything)], "lost"
        for path in room.keys() | here.keys():
            assert path in held or here.get(path) == room.get(path), f"{path} is neither held nor the room's"


@pytest.mark.parametrize("seed", range(12))
def test_a_reader_sends_nothing_loses_nothing_and_follows(seed: int) -> None:
    life = Life(seed)
    for number in range(STEPS):
        life.step(number)
    life.b.kill()
    life.b.start()
    life.rest_apart()
    life.rest_apart()
    life.judge()
