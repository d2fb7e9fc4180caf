"""A scripted world: two replicas and a perfect network, in which a test says what happens and when."""

from __future__ import annotations

from collections.abc import Callable

from crdtsync.testing.clock import Clock, Streams, Trace
from crdtsync.testing.oracles import check_equal
from crdtsync.testing.virtual_hub import VirtualHub
from crdtsync.testing.virtual_inodes import NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica


class Scene:
    """``a`` and ``b`` have joined and are at rest."""

    def __init__(self, disk_of_a: str = "plain", disk_of_b: str = "plain", seed: int = 1) -> None:
        """What each disk takes for one name, out of ``crdtsync.testing.folding.MODES``."""
        self.clock = Clock()
        self.streams = streams = Streams(seed)
        self.trace = trace = Trace(self.clock)
        self.hub = VirtualHub(self.clock, streams["hub"], trace)
        self.hub.start()
        self.a = VirtualReplica("a", self.clock, streams["a"], trace, self.hub, disk_of_a)
        self.b = VirtualReplica("b", self.clock, streams["b"], trace, self.hub, disk_of_b)
        for replica in (self.a, self.b):
            replica.start()
        self.rest()

    def wait(self, duration_s: float) -> None:
        self.clock.run_until(self.clock.now_s + duration_s)

    def within(self, duration_s: float, enough: Callable[[], bool]) -> bool:
        """Wait until ``enough`` holds; whether it did so in time."""
        return self.clock.run_until(self.clock.now_s + duration_s, enough)

    def save(self, replica: VirtualReplica, path: str, content: str | bytes) -> None:
        """A save into the file, or a new file with its folders."""
        data = content.encode() if isinstance(content, str) else content
        node = replica.disk.get(path)
        if node is not None:
            replica.disk.write_into(node, data)
            return
        if "/" in path:
            replica.disk.make_folder(path.rpartition("/")[0])
        replica.disk.put(path, replica.disk.new_inode(NodeKind.FILE, data))

    def read(self, replica: VirtualReplica, path: str) -> str | None:
        node = replica.disk.get(path)
        return None if node is None else node.data.decode()

    def paths(self, replica: VirtualReplica) -> list[str]:
        return [path for path, _ in replica.disk.files()]

    def files(self, replica: VirtualReplica) -> dict[str, bytes]:
        return {path: node.data for path, node in replica.disk.files()}

    def writing(self, replica: VirtualReplica) -> bool:
        """Whether a disk step has been asked for and its outcome is not known."""
        assert replica.engine is not None
        return replica.engine.status.pending.materialise > 0

    def rest(self) -> None:
        """Let everyone flush, and check that both hold the same."""
        self.rest_apart()
        check_equal([self.a, self.b])

    def rest_apart(self) -> None:
        """Let everyone flush."""
        numbers = [(replica, replica.flush()) for replica in (self.a, self.b)]
        done = self.within(300.0, lambda: all(number in replica.flushed for replica, number in numbers))
        assert done, "the flush does not end"
        self.wait(2.0)
