"""A hub that does its worst to one replica with a real folder, and what must hold whatever it does.

What it sends is made of decisions: forged trees and texts, frames out of order or damaged, connections cut.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pycrdt import Doc, Map, Text

from crdtsync.core.text.update import EMPTY_UPDATE
from crdtsync.core.values.digests import Digest, digest_of
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.core.wire.codec import decode_from_replica, encode_from_hub
from crdtsync.core.wire.control import Welcome, encode_control
from crdtsync.core.wire.messages import (
    Accepted,
    Ack,
    CaughtUp,
    Committed,
    Compare,
    Differ,
    Difference,
    FromHub,
    LogEntry,
    Probed,
    Push,
    Relay,
)
from crdtsync.testing.fuzzing import frames
from crdtsync.testing.fuzzing.choices import Choices
from crdtsync.testing.fuzzing.updates import state_vector
from tests.fuzz.station import Station

COLUMNS: Final = ("path", "kind", "exec", "gone", "origin", "versions")
EVIL_PATHS: Final[tuple[Any, ...]] = (
    *(
        "../evil",
        "../../evil",
        "/tmp/crdtsync-evil",
        "a/../../evil",
        "",
        ".",
        "..",
        "a//b",
        "./a",
        "nul\0evil",
    ),
    *(
        ".git/hooks/post-checkout",
        ".GIT/config",
        "sub/.git/config",
        ".git",
        ".crdtsync/state.db",
        ".Crdtsync/x",
    ),
    *("out/evil", "out", "in/evil", "sub", "sub/b.txt/deeper", "a.txt", "a.txt/x", "A.TXT", "x" * 300),
    *(
        "d/" * 200 + "x",
        ".gitignore",
        ".crdtsyncignore",
        "evil~",
        "e\u0301",
        "é",
        "new.txt",
        "new/deep/er.txt",
    ),
    *(7, None, {"a": 1}, [1], b"a.txt"),
)
TARGETS: Final = (
    "/etc/passwd",
    "../../x",
    "sub/../../x",
    ".git/hooks",
    "a\0b",
    "",
    "sub",
    "a.txt",
    ".",
    "out/x",
)
TEXTS: Final = ("", "evil\n", "*\n", "!.git\n.crdtsync\n", "\0", "é😀" * 50, "x" * 5000)
BLOBS: Final = (b"", b"\0evil", b"\0" * 3000, b"#!/bin/sh\0rm -rf /\n")


class HostileHub:
    """One replica's folder in ``parent``, with things around and in it that nobody may touch."""

    def __init__(self, parent: Path, choices: Choices) -> None:
        self.parent = parent
        self.root = parent / "root"
        self._choices = choices
        self._blobs: dict[Digest, bytes] = {digest_of(data): data for data in BLOBS}
        self._updates: dict[DocumentId, list[bytes]] = {}
        self._batches: list[int] = []
        self._compared: list[DocumentId] = []
        self._sequence = 0
        self._client = 10_000
        self._saves = 0
        self.tokens: set[str] = set()
        """Of what stood in the folder before, each in one file."""
        self.saved: set[str] = set()
        """Of what was saved while the hub did its worst."""
        self._furnish()
        self.station = Station(self.root, "Ann", self._taken, self._blobs)

    def _furnish(self) -> None:
        root, parent = self.root, self.parent
        for folder in (root / "sub/deep", root / ".git/hooks", parent / "outside"):
            folder.mkdir(parents=True)
        (parent / "outside/precious.txt").write_text("precious\n")
        (root / ".git/config").write_text("[core]\n")
        (root / "out").symlink_to(parent / "outside")
        (root / "in").symlink_to("sub")
        for number, name in enumerate(("a.txt", "sub/b.txt", "sub/deep/c.txt", "d.bin", "sub/e.bin")):
            token = f"token{number}x"
            self.tokens.add(token)
            head = b"\0" if name.endswith("bin") else b"first\n"
            (root / name).write_bytes(head + token.encode() + b"\nlast\n")
        self._guarded = self._seen_around()

    def _seen_around(self) -> dict[str, tuple[int, int, bytes]]:
        """What is outside of the folder, and in it what is not for rooms."""
        seen = {}
        for top in (self.parent, self.root / ".git"):
            for folder, folders, names in os.walk(top):
                if os.path.samefile(folder, self.root):
                    folders.clear()
                    continue
                for name in folders + names:
                    path = Path(folder, name)
                    if path != self.root:
                        data = path.read_bytes() if path.is_file() else b""
                        seen[str(path)] = (path.lstat().st_mode, path.lstat().st_ino, data)
        out = self.root / "out"
        seen[str(out)] = (0, 0, os.readlink(out).encode() if out.is_symlink() else b"gone")
        return seen

    # -- the hub ----------------------------------------------------------------------------------------

    def _taken(self, frame: bytes | str) -> None:
        """Whatever the replica sends is kept: a hostile hub knows what it was told."""
        if isinstance(frame, bytes):
            message = decode_from_replica(frame)
            if isinstance(message, Push):
                self._batches.append(message.batch)
                for document, update in message.updates:
                    self._updates.setdefault(document, []).append(update)
            if isinstance(message, Compare):
                self._compared += [document for document, _ in message.documents]

    def greet(self, *, resume: bool = False) -> None:
        """As an honest hub would begin."""
        self.station.connect()
        self._say_text(Welcome(member=1, epoch="e1", sequence=self._sequence, resume=resume))
        compared, self._compared = self._compared, []
        self._say(Differ(tuple(Difference(document, b"\0", b"") for document in compared)))
        self._say(CaughtUp(self._sequence))

    def misbehave(self) -> None:
        choices, station = self._choices, self.station
        match choices.below(16):
            case 0:
                station.disconnect("cut")
                station.pass_time(1.0)
                station.connect()
            case 1:
                self._say_text(Welcome(member=1, epoch="e1", sequence=9, resume=choices.chance(2)))
            case 2:
                self._say(CaughtUp(choices.number(self._sequence)))
            case 3:
                batch = choices.pick(self._batches) if self._batches else choices.below(9)
                sequence = choices.number(self._sequence)
                about: tuple[FromHub, ...] = (
                    Ack(batch, sequence),
                    Accepted(batch, sequence),
                    Probed(batch, sequence),
                )
                self._say(choices.pick(about))
            case 4:
                self._say(Committed(choices.number(self._sequence)))
            case 5:
                station.receive(frames.damaged(frames.from_hub(choices), choices))
            case 6:
                text = frames.control(choices).decode("utf-8", "replace")
                if '"refused"' not in text:
                    station.receive(text)
            case 7 | 8:
                station.pass_time(choices.pick((0.01, 0.5, 3.0, 30.0)))
            case 9:
                self._save()
            case 10 | 11 | 12:
                self._tell(TREE, self._forged_tree())
            case 13:
                self._tell(
                    DocumentId(choices.pick([*self._entries(), EntryId("0e" * 12)])), frames.update(choices)
                )
            case _:
                entry = choices.pick([*self._entries(), EntryId("0e" * 12), EntryId("0f" * 12)])
                self._tell(DocumentId(entry), self._forged_text(entry))
        if station.halted is None and not station.connected:
            station.pass_time(20.0)
            self.greet(resume=choices.chance(2))

    def _say(self, message: FromHub) -> None:
        self.station.receive(encode_from_hub(message))

    def _say_text(self, message: Welcome) -> None:
        self.station.receive(encode_control(message))

    def _tell(self, document: DocumentId, update: bytes) -> None:
        self._updates.setdefault(document, []).append(update)
        if self._choices.chance(4):
            self._say(Differ((Difference(document, state_vector(self._choices), update),)))
        else:
            self._sequence += 1
            self._say(Relay((LogEntry(self._sequence, 0, document, update),)))

    def _entries(self) -> list[EntryId]:
        return sorted(EntryId(document) for document in self._updates if document != TREE)

    def _known(self, document: DocumentId) -> Doc[Any]:
        """The document as far as the hub has heard of it."""
        self._client += 1
        doc: Doc[Any] = Doc(client_id=self._client)
        for update in self._updates.get(document, ()):
            try:
                doc.apply_update(update)
            except BaseException as error:
                if not _is_refusal(error):
                    raise
                return Doc(client_id=self._client)
        return doc

    def _forged_tree(self) -> bytes:
        """A few cells set, of entries that there are and that there are not."""
        choices = self._choices
        doc = self._known(TREE)
        columns = {name: doc.get(name, type=Map) for name in COLUMNS}
        before = doc.get_state()
        names = sorted(columns["path"])
        with doc.transaction():
            for _ in range(1 + choices.below(5)):
                entry = choices.pick([*names, "0e" * 12, "0f" * 12, "not an entry"])
                match choices.below(7):
                    case 0 | 1:
                        columns["path"][entry] = choices.pick(EVIL_PATHS)
                    case 2:
                        columns["kind"][entry] = choices.pick(("text", "blob", "link", "dir", "exe", 7))
                    case 3:
                        vector = self._known(DocumentId(entry)).get_state()
                        columns["gone"][entry] = choices.pick(
                            (vector, b"", b"\xff", "x", b"\x01\x01\xff\xff\x03")
                        )
                    case 4:
                        target = choices.pick(TARGETS)
                        value = {"size": len(target), "by": "M", "at": 0, "target": target}
                        columns["versions"][f"{entry}:{digest_of(target.encode())}"] = value
                    case 5:
                        data = choices.pick(BLOBS)
                        size = choices.number(len(data))
                        value = {"size": size % 2**53, "by": "\x1b[2J", "at": -5}
                        columns["versions"][f"{entry}:{digest_of(data)}"] = value
                    case _:
                        column = columns[choices.pick(COLUMNS)]
                        if entry in column and choices.chance(2):
                            del column[entry]
                        else:
                            column[entry] = choices.pick((True, None, {"copy_of": "../x"}, 2.5, "x"))
        return doc.get_update(before)

    def entry_at(self, path: str) -> str:
        """The entry that the replica made of what it found there."""
        paths = self._known(TREE).get("path", type=Map)
        return str(next(entry for entry in sorted(paths) if paths[entry] == path))

    def forge(self, *cells: tuple[str, str, Any]) -> None:
        """Set these cells of the tree: column, key, value."""
        doc = self._known(TREE)
        columns = {name: doc.get(name, type=Map) for name in COLUMNS}
        before = doc.get_state()
        with doc.transaction():
            for column, key, value in cells:
                columns[column][key] = value
        self._tell(TREE, doc.get_update(before))

    def _forged_text(self, entry: EntryId) -> bytes:
        doc = self._known(DocumentId(entry))
        text = doc.get("content", type=Text)
        before = doc.get_state()
        try:
            with doc.transaction():
                if self._choices.chance(2):
                    del text[0 : len(text)]
                text.insert(0, self._choices.pick(TEXTS))
        except BaseException as error:
            if not _is_refusal(error):
                raise
            return EMPTY_UPDATE  # earlier forgeries have left nothing that pycrdt could edit
        return doc.get_update(before)

    # -- the person -------------------------------------------------------------------------------------

    def _save(self) -> None:
        """Someone saves a file of the folder while all this goes on."""
        self._saves += 1
        token = f"saved{self._saves}y"
        path = self._choices.pick(("a.txt", "sub/b.txt", f"mine{self._saves}.txt", "d.bin"))
        file = self.root / path
        if file.is_symlink() or (file.exists() and not file.is_file()) or not file.parent.is_dir():
            return
        with open(file, "ab") as appended:
            appended.write(token.encode() + b"\n")
        self.saved.add(token)
        self.station.saved(path)

    # -- what must hold ---------------------------------------------------------------------------------

    def judge(self) -> None:
        assert self._seen_around() == self._guarded, "something was touched that is not for rooms"
        for path in self.root.rglob("*"):
            if path.is_symlink() and path.name != "out":
                leads = os.path.realpath(path)
                through_ours = os.readlink(path).startswith("out")  # a person's own link leads out
                inside = f"{leads}/".startswith(f"{self.root}/") and "/.git" not in leads
                assert inside or through_ours, f"{path} leads to {leads}"
        kept = b"".join(self._kept("trash"))
        lost = [token for token in self.tokens if token.encode() not in kept]
        assert not lost, f"{lost} is neither in the folder nor in the trash"
        kept += b"".join(self._kept("staging")) + b"".join(self._versions())
        lost = [token for token in self.saved if token.encode() not in kept]
        assert not lost, f"{lost} was saved and is nowhere"

    def _kept(self, where: str) -> Iterator[bytes]:
        """What files hold, in the folder and in one part of the state folder."""
        for folder, folders, names in os.walk(self.root):
            if folder == str(self.root):
                folders[:] = [name for name in folders if name != ".git"]
            if Path(folder).name == ".crdtsync":
                folders[:] = [where]
            for name in names:
                path = Path(folder, name)
                if not path.is_symlink() and path.is_file():
                    yield path.read_bytes()

    def _versions(self) -> Iterator[bytes]:
        store = self.station.folder.store
        for document in self.station.folder.store.remembered().heads:
            for version in store.versions(EntryId(document.document)) if document.document != TREE else ():
                yield version.text.encode("utf-8", "surrogatepass")


def _is_refusal(error: BaseException) -> bool:
    """pycrdt refuses by errors, and by PanicException, which is no Exception."""
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


@contextmanager
def folder_for_a_case() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="crdtsync-fuzz-", ignore_cleanup_errors=True) as parent:
        yield Path(parent)


def run(entropy: bytes) -> None:
    """One case. Raises whatever shows that a hub can do what it must not."""
    choices = Choices(entropy, wild=12)
    with folder_for_a_case() as parent:
        hub = HostileHub(parent, choices)
        try:
            hub.station.pass_time(0.1)
            hub.greet()
            hub.station.pass_time(1.0)
            while not choices.exhausted and hub.station.halted is None:
                hub.misbehave()
            hub.station.pass_time(60.0)
            hub.judge()
        finally:
            hub.station.close()
