"""Puts new content at a path, and takes old content away, so that a save in the same instant is never lost.

What stood at the path is exchanged into staging and inspected there: if it is not what was expected, it is a
save that raced us, and it is reported. Knows one path at a time; batches and the other steps are up to
``disk_writer``.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from enum import Enum, auto

from crdtsync.adapters.contents import digest_of_file, observe
from crdtsync.adapters.displaced import DisplacedFiles
from crdtsync.adapters.exchange import exchange, put_new
from crdtsync.adapters.file_modes import Replaced, dress, is_dressed, is_dressed_as
from crdtsync.adapters.filesystem import Blocked, Tree, fingerprint_of, split
from crdtsync.adapters.kernel import is_regular
from crdtsync.adapters.spelling import Spelling
from crdtsync.adapters.staging import Held, Stage, Staging, telling
from crdtsync.adapters.trash import Trash
from crdtsync.core.replica.steps import Displaced, Done, Expected, Outcome, Raced, RemoveFile, WriteFile
from crdtsync.core.values.digests import digest_of
from crdtsync.core.values.files import (
    Fingerprint,
    Kind,
    Present,
    Seen,
    kind_of,
)
from crdtsync.core.values.late import dataclass


class _Out(Enum):
    """What came out of a path."""

    EXPECTED = auto()
    SAVE = auto()
    """A file with other content: someone saved."""
    FOREIGN = auto()
    """A folder, another link, a FIFO, or something unreadable: it goes back."""


@dataclass(frozen=True, slots=True)
class Staged:
    """New content, complete in staging (or beside its path), under a name that is not yet a held file's."""

    nonce: str
    name: str
    beside: bool = False
    status: os.stat_result | None = None
    """Of a text as it was written: nobody has touched it since."""


class Replacing:
    """``look`` tells what is at a path, for the answer to a step that was raced."""

    def __init__(
        self,
        tree: Tree,
        staging: Staging,
        trash: Trash,
        displaced: DisplacedFiles,
        spelling: Spelling,
        look: Callable[[str], Seen],
    ) -> None:
        self._tree = tree
        self._calls = tree.calls
        self._staging = staging
        self._trash = trash
        self._displaced = displaced
        self._spelling = spelling
        self._look = look

    # -- writing ----------------------------------------------------------------------------------------

    def write(self, step: WriteFile, staged: Staged) -> Outcome:
        """Put staged content at its path; ``staged`` is used up when this is Done, else left.

        Raises OSError with nothing changed: EXDEV when the path is on another file system than the staged
        file.
        """
        folder, name = split(step.path)
        if step.expected is None:
            with self._tree.made_folder(folder) as dir_fd:
                return self._write_new(step, staged, dir_fd, name)
        try:
            with self._tree.folder(folder) as dir_fd:
                return self._replace(step, step.expected, staged, dir_fd, name)
        except (FileNotFoundError, Blocked):
            return Raced(step.path, self._look(step.path))

    def _write_new(self, step: WriteFile, staged: Staged, dir_fd: int, name: str) -> Outcome:
        source_fd = dir_fd if staged.beside else self._staging.fd
        folder, before = self._calls.fstat(dir_fd), staged.status
        if before is not None and is_dressed(self._calls, before, folder, step.executable):
            return self._put_new(step, staged, source_fd, dir_fd, name, before, None)
        with self._opened(staged, source_fd) as fd:
            if fd is not None:
                dress(self._calls, fd, None, folder, step.executable)
            before = self._status(fd, staged.name, source_fd)
            return self._put_new(step, staged, source_fd, dir_fd, name, before, fd)

    def _put_new(
        self,
        step: WriteFile,
        staged: Staged,
        source_fd: int,
        dir_fd: int,
        name: str,
        before: os.stat_result,
        fd: int | None,
    ) -> Outcome:
        try:
            put_new(self._calls, staged.name, source_fd, name, dir_fd)
        except FileExistsError:
            return self._spelling.taken(step.path, self._look(step.path))
        return Done(self._fingerprint(before, fd, name, dir_fd))

    def _replace(
        self, step: WriteFile, expected: Expected, staged: Staged, dir_fd: int, name: str
    ) -> Outcome:
        calls, staging = self._calls, self._staging
        status = calls.lstat(name, dir_fd)
        if not fingerprint_of(status).same_file(expected.fingerprint):
            return Raced(step.path, self._look(step.path))
        held = Held(
            nonce=staged.nonce,
            stage=Stage.EXCHANGING,
            entry=step.entry,
            base=expected.digest,
            new=step.content.digest,
            path=step.path,
            kind=kind_of(step.content),
            trash=step.trash,
            beside=staged.beside,
            told="" if staged.beside else telling(kind_of(step.content), step.path, step.trash),
        )
        held_fd = dir_fd if staged.beside else staging.fd
        before = self._dressed_as(staged, held_fd, name, dir_fd, status, step.executable)
        try:
            if not staged.beside:
                staging.note(held)
            calls.rename(staged.name, held_fd, held.name, held_fd)
            out = exchange(staging, held, held_fd, name, dir_fd)
        except OSError:
            with suppress(OSError):
                calls.rename(held.name, held_fd, staged.name, held_fd)
            if not staged.beside:
                staging.forget(held)
            raise
        fingerprint = self._fingerprint(before, None, name, dir_fd)
        return self._inspect_replaced(out, expected, fingerprint, held_fd, name, dir_fd)

    def _inspect_replaced(
        self, held: Held, expected: Expected, fingerprint: Fingerprint, held_fd: int, name: str, dir_fd: int
    ) -> Outcome:
        verdict, signature = self._inspect(held, held_fd, expected)
        match verdict:
            case _Out.EXPECTED:
                self._keep(held, held_fd, signature)
                return Done(fingerprint)
            case _Out.SAVE:
                return Done(fingerprint, self._racing(held, held_fd))
            case _Out.FOREIGN:
                if not self._put_back(held, held_fd, name, dir_fd):
                    return Done(fingerprint)
                return Raced(held.path, self._look(held.path))

    # -- removing ---------------------------------------------------------------------------------------

    def remove(self, step: RemoveFile, trash: str | None) -> Outcome:
        """Take the file at the path away, into the trash if there is a reason for that.

        Raises OSError, with nothing changed.
        """
        # A removal does not say what the entry is; a late change of a small file may be one of a text.
        held = Held(
            nonce=self._staging.new_nonce(),
            stage=Stage.REMOVING,
            entry=step.entry,
            base=step.expected.digest,
            new=None,
            path=step.path,
            kind=Kind.TEXT,
            trash=trash,
            told=telling(Kind.TEXT, step.path, trash),
        )
        try:
            return self._remove(step, held)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return self._remove(step, replace(held, beside=True, told=""))

    def _remove(self, step: RemoveFile, held: Held) -> Outcome:
        calls = self._calls
        folder, name = split(step.path)
        try:
            with self._tree.folder(folder) as dir_fd:
                status = calls.lstat(name, dir_fd)
                if not fingerprint_of(status).same_file(step.expected.fingerprint):
                    return Raced(step.path, self._look(step.path))
                held_fd = dir_fd if held.beside else self._staging.fd
                self._staging.note(held)
                try:
                    calls.rename(name, dir_fd, held.name, held_fd)
                except OSError:
                    self._staging.forget(held)
                    raise
                verdict, signature = self._inspect(held, held_fd, step.expected)
                if verdict is _Out.EXPECTED:
                    self._keep(held, held_fd, signature)
                    return Done()
                self._return(held, held_fd, name, dir_fd)
                return Raced(step.path, self._look(step.path))
        except (FileNotFoundError, Blocked):
            return Raced(step.path, self._look(step.path))

    # -- what came out ----------------------------------------------------------------------------------

    def _inspect(self, held: Held, held_fd: int, expected: Expected) -> tuple[_Out, tuple[int, int]]:
        """By content: a fingerprint cannot tell an in-place save of the same size in the same tick."""
        try:
            status = self._calls.lstat(held.name, held_fd)
            signature = (status.st_size, status.st_mtime_ns)
            if stat.S_ISLNK(status.st_mode):
                target = self._calls.readlink(held.name, held_fd)
                same = digest_of(os.fsencode(target)) == expected.digest
                return _Out.EXPECTED if same else _Out.FOREIGN, signature
            if not is_regular(status):
                return _Out.FOREIGN, signature
            fd = self._calls.open_file(held.name, held_fd)
            try:
                same = digest_of_file(self._calls, fd) == expected.digest
            finally:
                self._calls.close(fd)
        except OSError:
            return _Out.FOREIGN, (-1, 0)
        return _Out.EXPECTED if same else _Out.SAVE, signature

    def _keep(self, held: Held, held_fd: int, signature: tuple[int, int]) -> None:
        """The expected file: to the trash if asked for, and watched for writers that still have it open."""
        if held.trash is not None:
            try:
                still_here = self._trash.keep(held.name, held_fd, held.path, held.trash)
            except OSError:
                return  # the disk is full: it stays in staging, and a restart tries again
            if not still_here:
                self._staging.forget(held)
                return
            with suppress(OSError):
                held = self._staging.rename(held, stage=Stage.DISPLACED)
        self._displaced.keep(held, signature)

    def _racing(self, held: Held, held_fd: int) -> Displaced | None:
        """Report the save, unless its writer is not done with it: then it is reported once it is."""
        with suppress(OSError):
            fd = self._calls.open_file(held.name, held_fd)
            try:
                writer = self._calls.open_for_writing_elsewhere(fd)
            finally:
                self._calls.close(fd)
            if writer is False:
                seen = observe(self._calls, held_fd, held.name, held.path, held.kind is Kind.TEXT)
                if isinstance(seen, Present):
                    return self._displaced.racing(held, seen)
        self._displaced.keep(held)
        return None

    def _put_back(self, held: Held, held_fd: int, name: str, dir_fd: int) -> bool:
        """Exchange again: a folder, a link or a FIFO that someone put there belongs there.

        False if that fails, so that our file stands there: taken for a save it would be there twice.
        """
        try:
            out = exchange(self._staging, held, held_fd, name, dir_fd)
        except FileNotFoundError:
            # Our file was removed in the instant that it stood there, so the path is free.
            self._return(held, held_fd, name, dir_fd)
            return True
        except OSError:
            self.keep_somewhere(held, held_fd)
            return False
        # Ours again, or a save of it that came in the instant that it stood there: the keeper tells.
        with suppress(OSError):
            out = self._staging.rename(out, stage=Stage.DISPLACED, base=held.new, new=None)
        self.keep_somewhere(out, held_fd)
        return True

    def _return(self, held: Held, held_fd: int, name: str, dir_fd: int) -> None:
        """Put back what was not the expected file; if its place was taken meanwhile, it is kept."""
        try:
            put_new(self._calls, held.name, held_fd, name, dir_fd)
        except OSError:
            self.keep_somewhere(held, held_fd)
        else:
            self._staging.forget(held)

    def keep_somewhere(self, held: Held, held_fd: int) -> None:
        """Never lose what is held: a file is reported in time, anything else goes to the trash."""
        try:
            if is_regular(self._calls.lstat(held.name, held_fd)):
                self._displaced.keep(held)
                return
            self._trash.keep(held.name, held_fd, held.path, "stood where a file was being replaced")
            self._staging.discard(held)
        except OSError:
            return  # it stays in staging; a restart tries again

    # -- helpers ----------------------------------------------------------------------------------------

    @contextmanager
    def _opened(self, staged: Staged, dir_fd: int) -> Iterator[int | None]:
        """A descriptor of the staged file, or None for a link."""
        try:
            fd = self._calls.open_file(staged.name, dir_fd)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            yield None
            return
        try:
            yield fd
        finally:
            self._calls.close(fd)

    def _dressed_as(
        self, staged: Staged, held_fd: int, name: str, dir_fd: int, status: os.stat_result, executable: bool
    ) -> os.stat_result:
        """Give the staged file the looks of the one at ``name``, of that status; returns its own by then."""
        calls, replaced_fd = self._calls, None
        if is_regular(status):
            with suppress(OSError):
                replaced_fd = calls.open_file(name, dir_fd)
        try:
            replaced: Replaced | None = (replaced_fd, status) if is_regular(status) else None
            if replaced and staged.status and is_dressed_as(calls, staged.status, replaced, executable):
                return staged.status
            with self._opened(staged, held_fd) as fd:
                if fd is not None:
                    dress(calls, fd, replaced, calls.fstat(dir_fd), executable)
                return self._status(fd, staged.name, held_fd)
        finally:
            if replaced_fd is not None:
                calls.close(replaced_fd)

    def _status(self, fd: int | None, name: str, dir_fd: int) -> os.stat_result:
        return self._calls.lstat(name, dir_fd) if fd is None else self._calls.fstat(fd)

    def _fingerprint(self, before: os.stat_result, fd: int | None, name: str, dir_fd: int) -> Fingerprint:
        """Of our own file, not of what is at the path now: a save may have replaced it already.

        Size and mtime are from before the file could be seen, so that a write into it since then shows.
        """
        try:
            now = self._status(fd, name, dir_fd)
        except OSError:
            now = before
        is_ours = _written(now) == _written(before)
        ctime_ns = now.st_ctime_ns if is_ours else before.st_ctime_ns
        return fingerprint_of(before)._replace(ctime_ns=ctime_ns)


def _written(status: os.stat_result) -> tuple[int, int, int]:
    """What another file at the same path, even one with the same inode, or a write into it would change."""
    return status.st_ino, status.st_size, status.st_mtime_ns
