"""The disk side of one replica in one object: looks, scans, steps, displaced files, trash and their guard.

Everything here blocks, and is called on worker threads. What is done with the answers is up to the engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from crdtsync.adapters.disk_writer import DiskWriter
from crdtsync.adapters.displaced import DisplacedFiles
from crdtsync.adapters.filesystem import Tree, split
from crdtsync.adapters.ignores import Ignores
from crdtsync.adapters.kernel import Kernel
from crdtsync.adapters.looker import Looker
from crdtsync.adapters.rearranging import Rearranging
from crdtsync.adapters.recovery import Recovery
from crdtsync.adapters.replacing import Replacing
from crdtsync.adapters.root_guard import RootGuard
from crdtsync.adapters.scanner import Scanner
from crdtsync.adapters.spelling import Spelling, probe
from crdtsync.adapters.staging import RandomNonces, Staging
from crdtsync.adapters.state_folder import StateFolder, unjoinable
from crdtsync.adapters.system_calls import REAL
from crdtsync.adapters.trash import Trash
from crdtsync.core.replica.effects import LookAt
from crdtsync.core.replica.events import Recovered, Scan
from crdtsync.core.replica.steps import Displaced, Outcome, Step
from crdtsync.core.values.files import Seen


class Disk:
    """A joined folder, open and locked until ``close``.

    ``clock`` is the time of displaced files, seconds from any start; ``utc_s`` dates the trash.
    ``new_nonce`` tells staged files apart.
    """

    def __init__(
        self,
        directory: str | Path,
        room: str,
        *,
        calls: Kernel | None = None,
        clock: Callable[[], float] = time.monotonic,
        utc_s: Callable[[], float] = time.time,
        new_nonce: Callable[[], str] | None = None,
    ) -> None:
        """Raises FolderError and AlreadyJoined as StateFolder does."""
        calls = calls or REAL
        self.folder = StateFolder(directory, room, calls)
        self.directory = self.folder.directory
        self.guard = RootGuard(self.directory, calls)
        new_nonce = new_nonce or RandomNonces()
        try:
            self.folding = probe(calls, self.folder.state_fd, new_nonce())
            """What the folder's file system takes for one name."""
        except OSError as error:
            self.folder.close()
            raise unjoinable(self.directory, error) from error
        tree = Tree(self.folder.root_fd, calls, self.folding)
        self.tree = tree
        staging = Staging(self.folder.staging, tree, new_nonce)
        self.ignores = Ignores(tree)
        self.trash = Trash(tree, staging, utc_s)
        self._displaced = DisplacedFiles(staging, clock)
        self._looker = Looker(tree, self.guard, self.ignores)
        self._scanner = Scanner(tree, self.guard, self.ignores)
        spelling = Spelling(tree, staging)
        look = self._look_again
        replacing = Replacing(tree, staging, self.trash, self._displaced, spelling, look)
        rearranging = Rearranging(tree, staging, self.trash, self._displaced, replacing, spelling, look)
        self._writer = DiskWriter(tree, self.guard, staging, self._displaced, replacing, rearranging)
        self._recovery = Recovery(tree, staging, self.trash, self._displaced, replacing, utc_s)

    def close(self) -> None:
        """Let go of the folder; what is displaced is found again by ``recover`` at the next start."""
        self.folder.close()

    # -- reading ----------------------------------------------------------------------------------------

    def look(self, paths: Iterable[LookAt]) -> tuple[tuple[str, Seen], ...]:
        """What is at each path, with content. Raises RootGone."""
        return self._looker.look(paths)

    def glance(self, path: LookAt) -> Seen | None:
        """The same for a file that can be read without waiting; None for anything else."""
        return self._looker.glance(path)

    def scan(self, below: str = "") -> Scan:
        """Names and fingerprints of all that is inside the folder ``below``. Raises RootGone."""
        return self._scanner.scan(below)

    def ignored(self, path: str) -> bool:
        """Whether a file at ``path`` would be ignored; a folder that cannot be read ignores nothing."""
        try:
            return self.ignores.ignored(path, False)
        except OSError:
            return False

    def open_file(self, path: str) -> int:
        """A regular file at a room path, open for reading; no link is followed on the way. Raises OSError."""
        folder, name = split(path)
        with self.tree.folder(folder) as dir_fd:
            return self.tree.calls.open_file(name, dir_fd)

    # -- writing ----------------------------------------------------------------------------------------

    def prepare(self, steps: Sequence[Step]) -> None:
        """Do of these steps what nobody sees, before they are asked for by ``perform``; by its thread."""
        self._writer.prepare(steps)

    def perform(
        self,
        steps: Sequence[Step],
        done: Callable[[Sequence[tuple[Step, Outcome]]], None] = lambda some: None,
    ) -> list[tuple[Step, Outcome]]:
        """Carry out the steps in order; ``done`` gets the outcomes of some as soon as they are known.

        Raises RootGone.
        """
        return self._writer.perform(steps, done)

    def make_durable(self) -> None:
        """All that is in the folder now survives a power cut. Raises OSError when the disk fails to."""
        self._writer.make_durable()

    # -- displaced files --------------------------------------------------------------------------------

    def recover(self) -> Recovered:
        """What a former run left, once, before the first step: saves that nobody has taken note of yet, and
        what it wrote."""
        return self._recovery.recover()

    def poll_displaced(
        self, now_s: float, touched: Iterable[str] = ()
    ) -> tuple[list[Displaced], float | None]:
        """Late changes of displaced files, and when to ask next; ``now_s`` is of this object's clock.

        ``touched`` are names in staging that the watcher saw a writer touch.
        """
        return self._displaced.poll(now_s, touched)

    @property
    def displaced_unread(self) -> bool:
        """Whether ``poll_displaced`` is due soon, since a save that raced us could not be read yet."""
        return self._displaced.unread

    def drop_displaced(self, token: str) -> None:
        """That late change has been ingested, durably."""
        self._displaced.drop(token)

    def _look_again(self, path: str) -> Seen:
        return self._looker.look_at(LookAt(path, known_text=True))
