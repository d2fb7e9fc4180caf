"""People whose programs take their time: they load now and save later, truncate and think, or save aside."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from crdtsync.core.values.paths import parent
from crdtsync.core.values.reserved import reserved_path
from crdtsync.testing.clock import Clock, Trace, shown
from crdtsync.testing.oracles import Ledger
from crdtsync.testing.texts import line, undisputed
from crdtsync.testing.virtual_disk import VirtualDisk
from crdtsync.testing.virtual_inodes import Inode, NodeKind
from crdtsync.testing.workloads import Person


class Editor(Person):
    """``holds`` tells whether the replica keeps a file that it took from its path, ``has_read`` whether it
    read what stands at a path, or remembers it."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        rng: Random,
        trace: Trace,
        disk: VirtualDisk,
        ledger: Ledger,
        actions: dict[str, int],
        holds: Callable[[Inode], bool],
        has_read: Callable[[str], bool],
    ) -> None:
        super().__init__(name, rng, trace, disk, ledger, actions)
        self._clock = clock
        self._holds = holds
        self._has_read = has_read
        self._buffers: dict[str, bytes] = {}
        self._unread: set[str] = set()
        """Paths of buffers whose files were renamed before the replica had read them there: a save of such a
        buffer is one of what stands there by then, for all that anyone can know."""
        self.busy = 0
        """Saves that have begun and not ended."""
        self._power = 0
        self._unwritten: list[bytes] = []

    def lose_power(self) -> None:
        """All programs end; what they had not written yet is their own loss."""
        self._power += 1
        self.busy = 0
        self._buffers.clear()
        for data in self._unwritten:
            self.ledger.deleted(self.name, data)
        self._unwritten.clear()

    def _later(self, delay_s: float, data: bytes, action: Callable[[], None]) -> None:
        """Do it unless the power is cut before; ``data`` is what is about to be written."""
        power = self._power
        self._unwritten.append(data)

        def act() -> None:
            if power == self._power:
                self._unwritten.remove(data)
                action()

        self._clock.after(delay_s, act)

    def deeds(self) -> dict[str, Callable[[], str]]:
        mine = {
            "load": self._load,
            "save_stale": self._save_stale,
            "slow": self._slow,
            "aside": self._aside,
        }
        return {**super().deeds(), **mine}

    def _load(self) -> str:
        """An editor loads a file, to save it some time later."""
        path = self._pick_text()
        self._buffers[path] = self._disk.nodes[path].data
        self._unread.discard(path)
        return path

    def _move(self, path: str, target: str) -> None:
        if path in self._buffers and not self._has_read(path):
            self._unread.add(path)
        super()._move(path, target)

    def close_all(self) -> None:
        """Whoever loses the state of a replica has it join anew, and opens the files anew."""
        self._buffers.clear()

    def _save_stale(self) -> str:
        # over what is no text any more an editor asks, and its person says no
        texts = {path for path, at in self._disk.nodes.items() if at.kind is NodeKind.FILE}
        paths = [
            path
            for path in sorted(texts & self._buffers.keys())
            if self._is_text(self._disk.nodes[path].data)
        ]
        if not paths:
            raise FileNotFoundError
        path = self._rng.choice(paths)
        seen = self._buffers.pop(path)
        places = undisputed(seen.decode().splitlines(), self._disk.nodes[path].data.decode().splitlines())
        if not places:
            raise FileNotFoundError
        lines = seen.decode().splitlines(keepends=True)
        at = self._rng.choice(places)
        data = "".join([*lines[:at], line(self._token()), *lines[at:]]).encode()
        self._put(path, self._disk.nodes[path].data if path in self._unread else seen, data)
        return f"{path}: {shown(seen)} -> {shown(data)}"

    def _slow(self) -> str:
        """Truncate, think, write: into the file that was opened, wherever it stands by then."""
        path = self._pick_text()
        node = self._disk.nodes[path]
        seen = node.data
        data = self._edited(seen)
        writer = self._disk.open(path)
        self.busy += 1
        writer.write(b"")
        self.ledger.saved(self.name, seen, data)

        def write() -> None:
            self._trace.note(self.name, f"PERSON writes slowly {shown(data)}")
            self.ledger.overwritten(self.name, node.data, seen, data)
            writer.write(data)
            shared = any(at is node for path, at in self._disk.nodes.items() if not reserved_path(path))
            if not self._holds(node) and not shared:
                self.ledger.deleted(self.name, data)  # people here replaced or removed the file meanwhile
            self._later(self._rng.uniform(0, 0.2), b"", close)

        def close() -> None:
            writer.close()
            self.busy -= 1

        self._later(self._rng.uniform(0, 0.5), data, write)
        return f"{path}: {shown(data)}"

    def _aside(self) -> str:
        """f becomes f~, a new f is written, f~ is deleted: as vim and others save."""
        path = self._pick_text()
        node = self._disk.nodes[path]
        seen = node.data
        data = self._edited(seen)
        self._disk.rename(path, path + "~")
        self.ledger.saved(self.name, seen, data)
        self.busy += 1

        def write() -> None:
            if self._disk.get(path) is None and self._disk.is_folder(parent(path)):
                self._disk.put(path, self._disk.new_inode(NodeKind.FILE, data, node.executable))
            else:  # the place was taken meanwhile: an editor writes over it
                other = self._disk.get(path)
                if other is None or other.kind is not NodeKind.FILE:
                    self.ledger.deleted(self.name, data)
                else:
                    self.ledger.deleted(self.name, other.data)
                    self._disk.write_into(other, data)
            if self._disk.get(path + "~") is node:
                self.ledger.overwritten(self.name, node.data)
                self._disk.take(path + "~")
            self.busy -= 1

        self._later(self._rng.uniform(0, 0.2), data, write)
        return f"{path}: {shown(data)}"
