"""Someone who joins late, with a folder of their own: at some paths of the room is the same content, another,
or something of another kind; and what they have chosen for those that differ.

Nobody knows where those files came from, so what they lack was taken out by nobody.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Final

from crdtsync.core.replica.effects import AskDiffering
from crdtsync.core.replica.events import Differing
from crdtsync.core.values.digests import Digest, encode_text
from crdtsync.core.values.files import Kind
from crdtsync.core.values.paths import conflict_path, is_below
from crdtsync.testing.clock import EPOCH_S
from crdtsync.testing.editors import Editor
from crdtsync.testing.oracles import Broken, Picture, compare, picture
from crdtsync.testing.texts import edited, line
from crdtsync.testing.tokens import tokens
from crdtsync.testing.virtual_disk import VirtualDisk
from crdtsync.testing.virtual_inodes import Inode, NodeKind
from crdtsync.testing.virtual_replica import VirtualReplica

WAYS: Final = ("none", "equal", "equal", "edited", "other", "other", "blob", "link")
"""What they have of a file of the room."""
IN_WAYS: Final = (*WAYS, "folder")
"""The last one is never agreed on at a join: a folder where the room has a file, or a file for a folder."""
DAY_NS: Final = 86_400 * 10**9
TIMES_NS: Final = (int(EPOCH_S * 1e9) - DAY_NS, int(EPOCH_S * 1e9) + 30 * DAY_NS)
"""Before and after everything that happens in a world."""


class Newcomer:
    def __init__(self, replica: VirtualReplica, person: Editor, rng: Random, choice: Differing) -> None:
        self._replica = replica
        self._disk = replica.disk
        self._person = person
        self._rng = rng
        self._choice = choice
        self.brought: dict[str, tuple[NodeKind, bytes, bool]] = {}
        self._newer: set[str] = set()
        """Which of them are newer than all that the room has had."""
        replica.differing = choice
        replica.asked = self._chooses

    def bring(self, room: VirtualDisk, *, in_ways: bool) -> None:
        """Fill the folder. ``in_ways``: also with what stands in the way of the room's files and folders."""
        for path, node in list(room.files()):
            try:
                self._have(path, node, self._rng.choice(IN_WAYS if in_ways else WAYS))
            except OSError:
                continue  # something else of theirs stands in the way
        for _ in range(self._rng.choice([0, 1, 3])):
            self._person.perform("create")
        if not in_ways:
            self._clear_ways([path for path, node in room.files() if node.kind is not NodeKind.FOLDER])
        for path, node in self._disk.files():
            self.brought[path] = node.kind, node.data, node.executable
            if node.mtime_ns > TIMES_NS[0]:
                self._newer.add(path)

    def _clear_ways(self, there: list[str]) -> None:
        def stands_in_way(path: str) -> bool:
            at_a_file = path in there and self._disk.is_folder(path)
            return at_a_file or any(is_below(path, each) or is_below(each, path) for each in there)

        while found := [path for path, _ in self._disk.files() if stands_in_way(path)]:
            for path in found:  # which may leave a folder with nothing in it
                self._person.ledger.deleted(self._person.name, self._disk.nodes[path].data)
                self._disk.take(path)

    def _have(self, path: str, node: Inode, way: str) -> None:
        token = self._person.ledger.new_token()
        if way == "none" or (node.kind is NodeKind.FOLDER and way not in ("equal", "folder")):
            return
        if "/" in path:
            self._disk.make_folder(path.rpartition("/")[0])
        kind, data = NodeKind.FILE, line(token).encode()
        is_text = node.kind is NodeKind.FILE and b"\0" not in node.data
        match way:
            case "equal" if node.kind is NodeKind.FOLDER:
                self._disk.make_folder(path)
                return
            case "equal":
                kind, data = node.kind, node.data
            case "edited" if is_text:
                data = edited(
                    node.data, self._rng, self._person.ledger.new_token, ("insert", "replace", "delete")
                )
            case "blob":
                data = b"\0binary " + token.encode()
            case "link":
                kind, data = NodeKind.LINK, token.encode()
            case "folder" if node.kind is not NodeKind.FOLDER:
                self._disk.make_folder(path)
                path += "/in.md"
            case _:
                pass
        if way in ("equal", "edited"):
            self._person.ledger.froze(data)
        self._person.ledger.saved(self._person.name, b"", data)
        mine = self._disk.new_inode(kind, data, node.executable)
        if time_ns := self._rng.choice([0, *TIMES_NS]):
            mine.mtime_ns = time_ns
        self._disk.put(path, mine)

    # -- what was chosen --------------------------------------------------------------------------------

    def _chooses(self, question: AskDiffering) -> None:
        """Whoever chooses one of two had seen the other: what only that has goes, at most into the trash."""
        for path in question.differing:
            mine, theirs = self._disk.get(path), self._theirs(path)
            if mine is None:
                continue
            if self._choice in (Differing.HUB, Differing.NEWEST):
                self._person.ledger.gave_up(self._person.name, mine.data)
            if self._choice in (Differing.MINE, Differing.NEWEST):
                self._person.ledger.saved(self._person.name, theirs, mine.data)

    def _theirs(self, path: str) -> bytes:
        """What the room has there, for all that the replica knows when it asks."""
        assert self._replica.engine is not None
        state = self._replica.engine.state
        entry = state.view.at(path)
        placed = None if entry is None else state.view.get(entry)
        if placed is None:
            return b""
        if placed.kind is Kind.TEXT:
            return encode_text(state.documents.text(placed.entry))
        return b"" if placed.version is None else self._blob(placed.version.digest, placed.version.target)

    def _blob(self, digest: Digest, target: str | None) -> bytes:
        if target is not None:
            return target.encode()
        return self._replica.hub.blobs_of(self._replica.room).get(digest, b"")

    # -- what comes of it -------------------------------------------------------------------------------

    def check_joined(self, room: Picture) -> None:
        """``room`` is what all had, and nobody changed anything: all have what was chosen, and what was given
        up here is in the trash."""
        theirs = self.brought
        differing = {path for path in room.keys() & theirs.keys() if room[path][:2] != theirs[path][:2]}
        mine = {path for path in differing if self._is_mine(path)}
        both = {**theirs, **room, **{path: theirs[path] for path in mine}}
        expected = {
            path: each for path, each in both.items() if not any(is_below(other, path) for other in both)
        }
        found = dict(picture(self._replica))
        copies = {path: found.pop(path) for path in found.keys() - expected.keys()}
        compare("chosen", f"who joined with {self._choice}", expected, self._replica.name, found)
        beside = differing if self._choice is Differing.BOTH else set()
        self._check_copies(copies, {path: theirs[path] for path in beside})
        trashed = {token for data in self._replica.machine.trashed() for token in tokens(data)}
        for path in differing - mine - beside:
            if missing := tokens(theirs[path][1]) - trashed:
                raise Broken("chosen", f"{len(missing)} tokens of {path} are not in the trash")

    def _is_mine(self, path: str) -> bool:
        newest = self._choice is Differing.NEWEST and path in self._newer
        return self._choice is Differing.MINE or newest

    def _check_copies(self, copies: Picture, wanted: Picture) -> None:
        found = Counter((without_identity(path), node) for path, node in copies.items())
        due = Counter(
            (without_identity(conflict_path(path, self._person.name, "0" * 8)), node)
            for path, node in wanted.items()
        )
        if found != due:
            raise Broken("chosen", f"the copies are {sorted(copies)}, of {sorted(wanted)}")


def without_identity(path: str) -> str:
    """The name of a conflict copy, but for the digits that tell it from others."""
    before, comma, rest = path.rpartition(", ")
    return before + comma + rest[8:]
