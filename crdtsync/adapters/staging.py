"""The staging folder: files on their way to their paths, and files that were displaced from them.

A staged file's name says what it is (entry, the content it may hold if displaced, the content it was made
with) and where it belongs; what it has no room for is in a note beside it. So a restart needs no journal.
Knows names and notes; when a file moves from one state to the next is up to ``replacing``, ``displaced`` and
``recovery``.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from enum import StrEnum
from typing import Final

from crdtsync.adapters.filesystem import Tree, split
from crdtsync.adapters.kernel import Kernel
from crdtsync.adapters.private_folder import PrivateFolder
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId
from crdtsync.core.values.late import dataclass

_COPY_BYTES: Final = 1024 * 1024
_NONCES_AT_ONCE: Final = 128
_NOTE_PIECE_CHARS: Final = 900
"""A note is the target of a link, made in one atomic step; XFS takes 1023 bytes, so longer ones are cut."""
_NAME = re.compile(
    r"([xrds])_([0-9a-f]{24})_([0-9a-f]{64}|0)_([0-9a-f]{64}|0)_(?:([a-z]+=[\w.+= -]+)_)?([0-9a-f]{16})",
    re.ASCII,
)
_TOLD: Final = re.compile(r"[\w./ -]+", re.ASCII)
"""Paths and reasons that keep their spelling in a name on every file system, a slash as a plus sign."""
TOLD_MAX_CHARS: Final = 80
"""With these a name has 254 at most."""
_NOTE = re.compile(r"note-([0-9a-f]{16})\.([0-9]+)", re.ASCII)
TEMPORARY_PREFIX: Final = "tmp-"
BESIDE_PREFIX: Final = ".crdtsync-"
BESIDE_SUFFIX: Final = "~"
"""Makes the name of a file that is staged beside its path a reserved one, so that it is never shared."""
BLOB_PREFIX: Final = "blob-"


class Stage(StrEnum):
    """How far a staged file has come."""

    EXCHANGING = "x"
    """It holds ``new``, which was never seen, or what was at the path when it was put there."""
    REMOVING = "r"
    """It was at the path, and is not known to be the expected file."""
    DISPLACED = "d"
    """It was at the path; ``base`` is the last content of it that the engine has."""
    SWAPPING = "s"
    """It waits for its place in a swap on a file system without exchange."""


@dataclass(frozen=True, slots=True)
class Held:
    """One staged file: its identity, and everything a restart must know of it."""

    nonce: str
    stage: Stage
    entry: EntryId
    base: Digest | None
    new: Digest | None
    path: str
    kind: Kind
    trash: str | None = None
    other: str | None = None
    """The other path of a swap."""
    beside: bool = False
    """It stands in the folder of ``path``, since that is on another file system than the state folder."""
    told: str = ""
    """What ``telling`` gives: the name tells kind, path and trash. Else a note does, and the rest."""

    @property
    def name(self) -> str:
        told = f"{self.told}_" if self.told else ""
        plain = f"{self.stage}_{self.entry}_{self.base or 0}_{self.new or 0}_{told}{self.nonce}"
        return f"{BESIDE_PREFIX}{plain}{BESIDE_SUFFIX}" if self.beside else plain


def telling(kind: Kind, path: str, trash: str | None) -> str:
    """What a name tells instead of a note, which is one more file to make and delete; "" if it cannot."""
    if _TOLD.fullmatch(path) is None or (trash is not None and _TOLD.fullmatch(trash) is None):
        return ""
    told = f"{kind}={path}" if trash is None else f"{kind}={path}={trash}"
    return "" if len(told) > TOLD_MAX_CHARS else told.replace("/", "+")


class RandomNonces:
    """Draws many at once: each call of the system lets another thread of ours run first."""

    def __init__(self) -> None:
        self._drawn: list[str] = []

    def __call__(self) -> str:
        while True:
            with suppress(IndexError):
                return self._drawn.pop()
            digits = secrets.token_hex(_NONCES_AT_ONCE * 8)
            self._drawn += [digits[at : at + 16] for at in range(0, len(digits), 16)]


class Staging:
    """The folder ``.crdtsync/staging``, open at ``fd``. ``new_nonce`` gives 16 hex digits, new each time.

    Whoever finds that it fails has it ``stand``: someone may have deleted it.
    """

    def __init__(self, place: PrivateFolder, tree: Tree, new_nonce: Callable[[], str]) -> None:
        self.fd = place.fd
        self.stand = place.stand
        self.new_nonce = new_nonce
        self.tree = tree
        self.calls: Kernel = tree.calls
        self.device = self.calls.fstat(self.fd).st_dev

    # -- temporary files: ours alone, incomplete, deleted at a restart ----------------------------------

    def temporary(self, nonce: str, beside: bool = False) -> str:
        plain = TEMPORARY_PREFIX + nonce
        return f"{BESIDE_PREFIX}{plain}{BESIDE_SUFFIX}" if beside else plain

    def write_temporary(self, nonce: str, data: bytes, durable: bool, mode: int) -> os.stat_result:
        """A new file with this content and these permissions, less those that the umask takes; its status.

        Nobody else can reach it here, whatever they are. Raises OSError, leaving nothing behind.
        """
        name, flags = self.temporary(nonce), os.O_WRONLY | os.O_CREAT | os.O_EXCL
        try:
            fd = self.calls.open(name, flags, self.fd, mode)
        except FileNotFoundError:
            self.stand()
            fd = self.calls.open(name, flags, self.fd, mode)
        try:
            self.calls.write_all(fd, data)
            if durable:
                self.calls.fsync(fd)
            return self.calls.fstat(fd)
        except OSError:
            self.unlink_quietly(name, self.fd)
            raise
        finally:
            self.calls.close(fd)

    def copy(self, name: str, dir_fd: int, new_name: str, new_dir_fd: int) -> None:
        """A new private, durable copy of a file or link. Raises OSError, leaving nothing behind."""
        calls = self.calls
        try:
            source = calls.open_file(name, dir_fd)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            calls.symlink(calls.readlink(name, dir_fd), new_name, new_dir_fd)
            return
        try:
            fd = calls.open(new_name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, new_dir_fd)
            try:
                while data := calls.read(source, _COPY_BYTES):
                    calls.write_all(fd, data)
                calls.fchmod(fd, calls.fstat(source).st_mode & 0o777)
                calls.fsync(fd)
            except OSError:
                self.unlink_quietly(new_name, new_dir_fd)
                raise
            finally:
                calls.close(fd)
        finally:
            calls.close(source)

    def has(self, name: str) -> bool:
        try:
            self.calls.lstat(name, self.fd)
        except FileNotFoundError:
            return False
        return True

    # -- held files -------------------------------------------------------------------------------------

    @contextmanager
    def folder(self, held: Held) -> Iterator[int]:
        """The folder that the held file is in; open inside the ``with``."""
        if not held.beside:
            yield self.fd
            return
        with self.tree.folder(split(held.path)[0]) as fd:
            yield fd

    def note(self, held: Held) -> None:
        """Write down what the name has no room for; done before the file gets its name."""
        if held.told:
            return
        text = json.dumps([held.path, held.kind, held.trash, held.other, held.beside])
        for number, start in enumerate(range(0, len(text), _NOTE_PIECE_CHARS)):
            piece = text[start : start + _NOTE_PIECE_CHARS]
            name = f"note-{held.nonce}.{number}"
            try:
                self.calls.symlink(piece, name, self.fd)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise
                self._note_in_file(name, piece)

    def _note_in_file(self, name: str, piece: str) -> None:
        """For a file system without links (FAT)."""
        fd = self.calls.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self.fd)
        try:
            self.calls.write_all(fd, piece.encode("ascii"))
            self.calls.fsync(fd)
        finally:
            self.calls.close(fd)

    def rename(self, held: Held, **changes: Stage | Digest | None) -> Held:
        """Give the held file the name of its next state; returns that."""
        changed: Held = replace(held, **changes)  # type: ignore[arg-type]
        with self.folder(held) as fd:
            self.calls.rename(held.name, fd, changed.name, fd)
        return changed

    def forget(self, held: Held) -> None:
        """Drop the note; the file is no longer here."""
        number = 0
        while not held.told and self.unlink_quietly(f"note-{held.nonce}.{number}", self.fd):
            number += 1

    def discard(self, held: Held) -> None:
        """Delete the held file: it was never seen, or all of it is known."""
        with suppress(FileNotFoundError), self.folder(held) as fd:
            self.calls.unlink(held.name, fd)
        self.forget(held)

    def take_back(self, held: Held) -> None:
        """The new content was not put in place: a blob can be asked for again, a text is written anew."""
        if held.kind is Kind.BLOB and held.new is not None and not held.beside:
            with suppress(FileNotFoundError):
                self.calls.rename(held.name, self.fd, BLOB_PREFIX + held.new, self.fd)
            self.forget(held)
        else:
            self.discard(held)

    # -- at a restart -----------------------------------------------------------------------------------

    def found(self) -> tuple[list[Held], list[str]]:
        """Every held file that a former run left, and the names of its temporary files and stray notes."""
        names = [entry.name for entry in self.calls.entries(self.fd)]
        notes = self._notes(names)
        held: list[Held] = []
        named: set[str] = set()
        useless = [name for name in names if name.startswith(TEMPORARY_PREFIX)]
        for name in names:
            match = _NAME.fullmatch(name)
            if match is not None:
                held.append(_held(match, _told(match[5]) or notes.get(match[6]) or _lost_note(match[2])))
                named.add(match[6])
        for nonce, note in notes.items():
            if nonce in named:
                continue
            found = self._beside(nonce, note)
            if found is not None:
                held.append(found)
            else:
                useless += [name for name in names if name.startswith(f"note-{nonce}.")]
        return held, useless

    def _notes(self, names: list[str]) -> dict[str, list[object]]:
        pieces: dict[str, dict[int, str]] = {}
        for name in names:
            match = _NOTE.fullmatch(name)
            if match is not None:
                pieces.setdefault(match[1], {})[int(match[2])] = self._piece(name)
        notes: dict[str, list[object]] = {}
        for nonce, found in pieces.items():
            try:
                note = json.loads("".join(found[number] for number in sorted(found)))
            except ValueError:
                note = None  # the kill came while it was written: nothing has happened yet
            if isinstance(note, list) and len(note) == 5:
                notes[nonce] = note
            else:
                notes[nonce] = ["", "", None, None, False]
        return notes

    def _piece(self, name: str) -> str:
        try:
            return self.calls.readlink(name, self.fd)
        except OSError:
            fd = self.calls.open_file(name, self.fd)
            try:
                return self.calls.read(fd, 2 * _NOTE_PIECE_CHARS).decode("ascii", "replace")
            finally:
                self.calls.close(fd)

    def _beside(self, nonce: str, note: list[object]) -> Held | None:
        """A held file in the folder of its path; a temporary one there is deleted."""
        if not note[4]:
            return None
        try:
            with self.tree.folder(split(str(note[0]))[0]) as fd:
                self.unlink_quietly(self.temporary(nonce, beside=True), fd)
                for entry in self.calls.entries(fd):
                    match = _NAME.fullmatch(
                        entry.name.removeprefix(BESIDE_PREFIX).removesuffix(BESIDE_SUFFIX)
                    )
                    if match is not None and match[6] == nonce:
                        return _held(match, note)
        except OSError:
            return None
        return None

    def unlink_quietly(self, name: str, dir_fd: int) -> bool:
        """Delete what is only ours; False when it is not there. What stays is found at a restart."""
        try:
            self.calls.unlink(name, dir_fd)
        except OSError:
            return False
        return True


def _lost_note(entry: str) -> list[object]:
    return [f"recovered-{entry[:8]}", "text", None, None, False]


def _told(told: str | None) -> list[object] | None:
    """What the note would say."""
    if not told:
        return None
    kind, path, *trash = told.split("=")
    return [path.replace("+", "/"), kind, trash[0] if trash else None, None, False]


def _held(match: re.Match[str], note: list[object]) -> Held:
    path, kind, trash, other, beside = note
    return Held(
        nonce=match[6],
        stage=Stage(match[1]),
        entry=EntryId(match[2]),
        base=None if match[3] == "0" else Digest(match[3]),
        new=None if match[4] == "0" else Digest(match[4]),
        path=str(path),
        kind=Kind(str(kind)),
        trash=None if trash is None else str(trash),
        other=None if other is None else str(other),
        beside=bool(beside),
        told=match[5] or "",
    )
