"""A machine with a joined folder: its file system, the hands of its people, what a power cut leaves of it."""

from __future__ import annotations

from random import Random
from typing import Final

from crdtsync.adapters.staging import BLOB_PREFIX, TEMPORARY_PREFIX, Stage
from crdtsync.core.values.folding import PLAIN, Folding
from crdtsync.core.values.reserved import STATE_FOLDER, reserved_path
from crdtsync.testing.clock import Clock
from crdtsync.testing.virtual_disk import VirtualDisk
from crdtsync.testing.virtual_filesystem import Naming, VirtualFilesystem
from crdtsync.testing.virtual_inodes import Dentry, Inode, NodeKind
from crdtsync.testing.virtual_kernel import VirtualKernel

DIRECTORY: Final = "/home/notes"


class VirtualMachine:
    def __init__(self, clock: Clock, naming: Naming | None = None, folding: Folding = PLAIN) -> None:
        self.ahead_s = 0.0
        """How far its clock is ahead of the others; it may jump."""
        self._clock = clock
        self.filesystem = VirtualFilesystem(lambda: int(self.wall_s() * 1e9), naming=naming)
        kernel = VirtualKernel(self.filesystem)
        kernel.make_folders(DIRECTORY)
        self.filesystem.sync()
        self._top = kernel.dentry_of(kernel.open_folder(DIRECTORY)).inode
        self.disk = VirtualDisk(self.filesystem, self._top, folding)
        self.boots = 1

    def wall_s(self) -> float:
        """What its clock shows, in seconds since 1970."""
        return self._clock.now_s + self.ahead_s

    def cut_power(self, rng: Random) -> None:
        self.filesystem.cut_power(rng)
        self.boots += 1

    def contents(self) -> list[bytes]:
        """Of all files and links, wherever they are."""
        return [dentry.inode.data for dentry in self._leaves()]

    def contents_to_share(self) -> list[bytes]:
        """Of all files and links but those under names that never enter a room, or staged for a step: what
        that was about to write is the store's to keep."""
        return [
            dentry.inode.data
            for dentry in self._leaves()
            if not reserved_path(self.shared(dentry.folder, dentry.name) or "")
            and not dentry.name.startswith(TEMPORARY_PREFIX)
            and not _was_to_be_written(dentry)
        ]

    def delete_blobs(self) -> None:
        """What stands in staging on its way to a path; nobody's save."""
        staging = self._state("staging")
        for dentry in [] if staging is None else list(staging.names.values()):
            if dentry.name.startswith(BLOB_PREFIX):
                self.filesystem.remove(dentry.folder, dentry.name)

    def holds(self, node: Inode) -> bool:
        """Whether the file was taken from its path and is kept for a while."""
        staging = self._state("staging")
        return staging is not None and any(
            dentry.inode is node and dentry.name[1:2] == "_" for dentry in staging.names.values()
        )

    def staged(self) -> list[str]:
        """The names in staging, sorted."""
        staging = self._state("staging")
        return [] if staging is None else sorted(dentry.name for dentry in staging.names.values())

    def trashed(self) -> list[bytes]:
        """The contents of all that is in the trash."""
        trash = self._state("trash")
        waiting = [] if trash is None else [trash]
        found = []
        while waiting:
            for dentry in waiting.pop().names.values():
                if dentry.inode.kind is NodeKind.FOLDER:
                    waiting.append(dentry.inode)
                else:
                    found.append(dentry.inode.data)
        return found

    def shared(self, folder: Inode, name: str) -> str | None:
        """The path of a name in the joined folder; None when it is elsewhere, or in the state folder."""
        path = f"{self.filesystem.path_of(folder)}/{name}"
        inside = path.removeprefix(f"{DIRECTORY}/")
        return None if inside == path or inside.partition("/")[0] == STATE_FOLDER else inside

    def displaced(self) -> set[Inode]:
        """The files in staging that came out of an exchange."""
        staging = self._state("staging")
        found = [] if staging is None else staging.names.values()
        return {dentry.inode for dentry in found if not _was_to_be_written(dentry)}

    def saves_displaced(self) -> list[bytes]:
        """Of the files in staging what nobody has taken note of yet: a start without a state keeps a copy."""
        staging = self._state("staging")
        return [
            dentry.inode.data
            for dentry in ([] if staging is None else staging.names.values())
            if dentry.name[1:2] == "_"
            and dentry.name.split("_")[2] != dentry.inode.digest
            and not _was_to_be_written(dentry)
        ]

    def _leaves(self) -> list[Dentry]:
        every = [dentry for _, dentry in self.filesystem.everything()]
        return [dentry for dentry in every if dentry.inode.kind is not NodeKind.FOLDER]

    def _state(self, name: str) -> Inode | None:
        state = self.filesystem.get(self._top, STATE_FOLDER)
        found = None if state is None else self.filesystem.get(state.inode, name)
        return None if found is None else found.inode


def _was_to_be_written(dentry: Dentry) -> bool:
    """Whether a step's own content stands there, and not what came out of an exchange with it."""
    stage, _, _, new, *_ = f"{dentry.name}____".split("_")
    return stage == Stage.EXCHANGING and new == dentry.inode.digest
