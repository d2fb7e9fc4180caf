"""Disk steps that write no content: moves, swaps, the executable bit, folders, copies kept of racing saves.

Like the steps that do, each either does all of its work or, with a message, none of it.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from crdtsync.adapters.contents import digest_of_file
from crdtsync.adapters.displaced import DisplacedFiles
from crdtsync.adapters.exchange import put_new, swap
from crdtsync.adapters.file_modes import mode_for
from crdtsync.adapters.filesystem import Blocked, Tree, fingerprint_of, split
from crdtsync.adapters.kernel import is_regular
from crdtsync.adapters.replacing import Replacing
from crdtsync.adapters.spelling import Listings, Spelling
from crdtsync.adapters.staging import Held, Stage, Staging
from crdtsync.adapters.trash import Trash
from crdtsync.core.replica.steps import (
    Cause,
    Done,
    Expected,
    Failed,
    KeepCopy,
    MakeFolder,
    MoveFile,
    Outcome,
    Raced,
    RemoveFile,
    RemoveFolder,
    SetExecutable,
    SwapFiles,
)
from crdtsync.core.values.files import Fingerprint, Kind, Seen
from crdtsync.core.values.ids import EntryId, printable
from crdtsync.core.values.reserved import litter_name

_NO_ENTRY: Final = EntryId("0" * 24)


class Rearranging:
    """``look`` tells what is at a path, for the answer to a step that was raced.

    All steps raise OSError, with nothing changed.
    """

    def __init__(
        self,
        tree: Tree,
        staging: Staging,
        trash: Trash,
        displaced: DisplacedFiles,
        replacing: Replacing,
        spelling: Spelling,
        look: Callable[[str], Seen],
    ) -> None:
        self._tree = tree
        self._calls = tree.calls
        self._staging = staging
        self._trash = trash
        self._displaced = displaced
        self._replacing = replacing
        self._spelling = spelling
        self._look = look

    def move(self, step: MoveFile) -> Outcome:
        """Rename what is expected to a name that nobody has."""
        calls = self._calls
        (folder, name), (new_folder, new_name) = split(step.path), split(step.target)
        try:
            with self._tree.folder(folder) as dir_fd:
                status = calls.lstat(name, dir_fd)
                if not fingerprint_of(status).same_file(step.expected.fingerprint):
                    return self._raced(step.path)
                with self._tree.made_folder(new_folder) as new_dir_fd:
                    if self._spelling.is_one(name, dir_fd, new_name, new_dir_fd):
                        if not self._spelling.respell(new_name, new_dir_fd, step.target, was=name):
                            return self._raced(step.path)
                        moved = fingerprint_of(calls.lstat(new_name, new_dir_fd))
                        # A save in between has been respelled with it: it shows against what was expected.
                        unchanged = moved.same_file(step.expected.fingerprint)
                        return Done(moved if unchanged else step.expected.fingerprint)
                    try:
                        put_new(calls, name, dir_fd, new_name, new_dir_fd)
                    except FileExistsError:
                        return self._spelling.taken(step.target, self._look(step.target))
                    except OSError as error:
                        if error.errno != errno.EXDEV:
                            raise
                        return self._move_across(step, name, dir_fd, new_name, new_dir_fd)
                    moved = fingerprint_of(calls.lstat(new_name, new_dir_fd))
                    if moved.same_file(step.expected.fingerprint):
                        return Done(moved)
                    # A save came between the look and the rename: it belongs where it was saved.
                    try:
                        put_new(calls, new_name, new_dir_fd, name, dir_fd)
                    except OSError:
                        return Done()  # saved there again: the newer one stays, this one is at the target
                    return self._raced(step.path)
        except FileNotFoundError:
            return self._raced(step.path)

    def _move_across(self, step: MoveFile, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> Outcome:
        """Another file system: copy, then take the original away as any removal does."""
        fingerprint = self._copy_across(step.target, name, dir_fd, new_name, new_dir_fd, step.expected)
        if fingerprint is None:
            return self._raced(step.path)
        removed = self._remove(step.entry, step.path, step.expected)
        if isinstance(removed, Done):
            return Done(fingerprint)
        self._remove(step.entry, step.target, Expected(fingerprint, step.expected.digest))
        return removed

    def _copy_across(
        self, path: str, name: str, dir_fd: int, new_name: str, new_dir_fd: int, expected: Expected | None
    ) -> Fingerprint | None:
        """The copy's fingerprint; None when the file is not what was expected."""
        calls, staging = self._calls, self._staging
        nonce = staging.new_nonce()
        held = Held(nonce, Stage.EXCHANGING, _NO_ENTRY, None, None, path, Kind.BLOB, beside=True)
        temporary = staging.temporary(nonce, beside=True)
        staging.note(held)
        try:
            staging.copy(name, dir_fd, temporary, new_dir_fd)
            if expected is not None and is_regular(calls.lstat(temporary, new_dir_fd)):
                fd = calls.open_file(temporary, new_dir_fd)
                try:
                    if digest_of_file(calls, fd) != expected.digest:
                        return None
                finally:
                    calls.close(fd)
            put_new(calls, temporary, new_dir_fd, new_name, new_dir_fd)
            return fingerprint_of(calls.lstat(new_name, new_dir_fd))
        finally:
            staging.unlink_quietly(temporary, new_dir_fd)
            staging.forget(held)

    def _remove(self, entry: EntryId, path: str, expected: Expected) -> Outcome:
        return self._replacing.remove(RemoveFile(0, entry, path, expected, "moved"), trash=None)

    def swap(self, step: SwapFiles) -> Outcome:
        """Let two files have each other's names, so that a kill in between can be told."""
        (folder, name), (other_folder, other_name) = split(step.path), split(step.other)
        held = Held(
            self._staging.new_nonce(),
            Stage.SWAPPING,
            _NO_ENTRY,
            None,
            None,
            step.path,
            Kind.BLOB,
            other=step.other,
        )
        try:
            with self._tree.folder(folder) as fd, self._tree.folder(other_folder) as other_fd:
                swap(self._staging, held, name, fd, other_name, other_fd)
        except FileNotFoundError:
            return self._raced(step.path)
        return Done()

    def set_executable(self, step: SetExecutable) -> Outcome:
        """The bit alone; who may read and write stays as it is."""
        calls = self._calls
        folder, name = split(step.path)
        try:
            with self._tree.folder(folder) as dir_fd:
                fd = calls.open_file(name, dir_fd)
        except (FileNotFoundError, Blocked):
            return self._raced(step.path)
        except OSError as error:
            if error.errno == errno.ELOOP:
                return self._raced(step.path)
            raise
        try:
            status = calls.fstat(fd)
            if not is_regular(status) or not fingerprint_of(status).same_file(step.expected.fingerprint):
                return self._raced(step.path)
            calls.fchmod(fd, mode_for(status.st_mode, step.executable, calls.umask))
            changed = calls.fstat(fd)
        finally:
            calls.close(fd)
        executable = fingerprint_of(changed).executable
        return Done(fingerprint_of(status)._replace(ctime_ns=changed.st_ctime_ns, executable=executable))

    def make_folder(self, step: MakeFolder) -> Outcome:
        """With the folders above it."""
        try:
            with self._tree.made_folder(step.path):
                return Done()
        except Blocked as error:
            if error.path == step.path:
                return self._raced(step.path)
            raise

    def remove_folder(self, step: RemoveFolder) -> Outcome:
        """What the system litters is put aside first, and back when the folder turns out to hold more."""
        calls, staging = self._calls, self._staging
        folder, name = split(step.path)
        moved: list[tuple[str, str]] = []
        try:
            if step.exact and not Listings(self._tree).spell(step.path):
                return Done()  # it is there under another name, and so for another reason
            with self._tree.folder(folder) as above_fd, self._tree.folder(step.path) as fd:
                names = [entry.name for entry in calls.entries(fd)]
                if not all(litter_name(litter) for litter in names):
                    return _not_empty(step.path)
                try:
                    for litter in names:
                        aside = staging.temporary(staging.new_nonce())
                        calls.rename(litter, fd, aside, staging.fd)
                        moved.append((aside, litter))
                    calls.rmdir(name, above_fd)
                except OSError:
                    for aside, litter in moved:
                        with suppress(OSError):
                            put_new(calls, aside, staging.fd, litter, fd)
                    raise
        except FileNotFoundError:
            return Done()
        except Blocked:
            return self._raced(step.path)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return _not_empty(step.path)
            raise
        for aside, _ in moved:
            staging.unlink_quietly(aside, staging.fd)
        return Done()

    def keep_copy(self, step: KeepCopy) -> Outcome:
        """Give a displaced file that was written to a name of its own in the folder."""
        claimed = self._displaced.claim(step.token)
        if claimed is None:
            return Done()  # a later report of the same file was kept already: it has a name in the folder
        held, seen = claimed
        folder, name = split(step.path)
        with self._staging.folder(held) as held_fd, self._tree.made_folder(folder) as dir_fd:
            try:
                put_new(self._calls, held.name, held_fd, name, dir_fd)
            except FileExistsError:
                return self._spelling.taken(step.path, self._look(step.path))
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                self._copy_across(step.path, held.name, held_fd, name, dir_fd, None)
                self._staging.unlink_quietly(held.name, held_fd)
            status = self._calls.lstat(name, dir_fd)
        self._displaced.moved(held)
        if held.trash is not None:
            self._trash.drop(held.path, status.st_dev, status.st_ino)
        # Size and mtime are those of the report: what was written since then shows.
        return Done(
            seen.fingerprint._replace(device=status.st_dev, inode=status.st_ino, ctime_ns=status.st_ctime_ns)
        )

    def _raced(self, path: str) -> Raced:
        return Raced(path, self._look(path))


def _not_empty(path: str) -> Failed:
    return Failed(
        Cause.NOT_EMPTY, f"{printable(path)} could not be removed: it is not empty; what is in it stays"
    )
