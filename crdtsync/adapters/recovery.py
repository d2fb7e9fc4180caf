"""What a start does with the staging folder that a former run left, however it ended: nothing in it is lost.

Every staged file says by its name which content it may hold; its content says how far the former run came.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from crdtsync.adapters.contents import digest_of_file, observe
from crdtsync.adapters.displaced import DisplacedFiles
from crdtsync.adapters.exchange import put_new
from crdtsync.adapters.filesystem import Tree, split
from crdtsync.adapters.kernel import is_regular
from crdtsync.adapters.replacing import Replacing
from crdtsync.adapters.staging import BLOB_PREFIX, Held, Stage, Staging
from crdtsync.adapters.trash import Trash
from crdtsync.core.replica.events import Recovered
from crdtsync.core.replica.steps import Displaced, Stood
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.files import Kind, Present

_SWAP_REASON: Final = "was being swapped with another file"


class Recovery:
    def __init__(
        self,
        tree: Tree,
        staging: Staging,
        trash: Trash,
        displaced: DisplacedFiles,
        replacing: Replacing,
        utc_s: Callable[[], float],
    ) -> None:
        self._tree = tree
        self._calls = tree.calls
        self._staging = staging
        self._trash = trash
        self._displaced = displaced
        self._replacing = replacing
        self._utc_s = utc_s

    def recover(self) -> Recovered:
        """Clear the staging folder; returns saves that nobody has taken note of yet, and what was written.

        To be called once, before any step. A second call, or a kill at any point, does no harm. Files that
        cannot be read now stay for the next start. Raises OSError when the folder itself cannot be read.
        """
        held, useless = self._staging.found()
        self._unlink_doubled_blobs()
        found: list[Displaced | Stood] = []
        for each in held:
            with suppress(OSError), self._staging.folder(each) as fd:
                found.extend(self._recover(each, fd))
        for name in useless:
            self._staging.unlink_quietly(name, self._staging.fd)
        displaced = tuple(each for each in found if isinstance(each, Displaced))
        return Recovered(displaced, tuple(each for each in found if isinstance(each, Stood)))

    def _recover(self, held: Held, fd: int) -> Iterator[Displaced | Stood]:
        status = self._calls.lstat(held.name, fd)
        if held.stage is Stage.SWAPPING:
            self._finish_swap(held, fd)
            return
        digest = self._digest(held, fd, status)
        if held.stage is Stage.EXCHANGING and digest is not None and digest == held.new != held.base:
            self._staging.take_back(held)  # it was never seen, or a save replaced it with just the same
            return
        if digest is not None and held.base is not None and held.new is not None:
            yield Stood(held.entry, held.base, held.new)
        if digest is not None and digest == held.base:
            self._known(held, fd, status)
            return
        if digest is None or not is_regular(status):
            self._put_back(held, fd)
            return
        seen = observe(self._calls, fd, held.name, held.path, held.kind is Kind.TEXT)
        if isinstance(seen, Present) and held.base is not None:
            yield self._displaced.racing(held, seen)
            return
        self._replacing.keep_somewhere(held, fd)

    def _digest(self, held: Held, fd: int, status: os.stat_result) -> Digest | None:
        if stat.S_ISLNK(status.st_mode):
            return digest_of(os.fsencode(self._calls.readlink(held.name, fd)))
        if not is_regular(status):
            return None
        file = self._calls.open_file(held.name, fd)
        try:
            return digest_of_file(self._calls, file)
        finally:
            self._calls.close(file)

    def _known(self, held: Held, fd: int, status: os.stat_result) -> None:
        """The expected file: into the trash, unless it is there; and kept, for writers that have it open.

        For how long is counted from when it was displaced, or runs that end soon would leave more and more.
        """
        if held.stage is not Stage.DISPLACED and held.trash is not None:
            in_trash = status.st_nlink > 1 and self._trash.holds(held.path, status.st_dev, status.st_ino)
            if not in_trash and not self._trash.keep(held.name, fd, held.path, held.trash):
                self._staging.forget(held)
                return
            held = self._staging.rename(held, stage=Stage.DISPLACED)
        age_s = self._utc_s() - status.st_ctime_ns / 1e9
        self._displaced.keep(held, (status.st_size, status.st_mtime_ns), age_s)

    def _put_back(self, held: Held, fd: int) -> None:
        """A folder or a link came out where a file was expected, and the kill came before it went back."""
        if not self._return(held, fd, held.path):
            self._replacing.keep_somewhere(held, fd)

    def _finish_swap(self, held: Held, fd: int) -> None:
        """Undo the swap if it had only begun, end it if the other file is in place already."""
        if self._return(held, fd, held.path) or (held.other and self._return(held, fd, held.other)):
            return
        self._trash.keep(held.name, fd, held.path, _SWAP_REASON)
        self._staging.discard(held)

    def _return(self, held: Held, fd: int, path: str) -> bool:
        folder, name = split(path)
        try:
            with self._tree.made_folder(folder) as dir_fd:
                put_new(self._calls, held.name, fd, name, dir_fd)
        except OSError:
            return False
        self._staging.forget(held)
        return True

    def _unlink_doubled_blobs(self) -> None:
        """A blob that got its name in the folder as a second one: the file is not ours any more."""
        for entry in self._calls.entries(self._staging.fd):
            if entry.name.startswith(BLOB_PREFIX) and entry.stat(follow_symlinks=False).st_nlink > 1:
                self._staging.unlink_quietly(entry.name, self._staging.fd)
