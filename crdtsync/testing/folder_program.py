"""A program in the process of a joined folder, as it uses the library: it speaks with the replica's engine.

It ends with that process. What such a program does is left to ``bots``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from crdtsync.core.replica import effects as ef
from crdtsync.core.replica import events as ev
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.text.diff import Edit, apply_edits, diff
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId
from crdtsync.errors import CrdtsyncError, NotText
from crdtsync.testing.clock import Clock
from crdtsync.testing.virtual_replica import VirtualReplica


class FolderProgram:
    """The verbs raise CrdtsyncError where something is in the way, if the engine says so at once. ``refused``
    gets the text of a new file that was not made."""

    def __init__(self, replica: VirtualReplica, clock: Clock, refused: Callable[[str], None]) -> None:
        self._replica = replica
        self._clock = clock
        self._refused = refused
        self._engine = replica.engine
        self._texts: dict[int, tuple[EntryId, str]] = {}
        """What each holder was told of the text that it has open."""
        self._kept: dict[EntryId, int] = {}
        """Texts that stay open, and their holders."""
        self._writing: dict[int, Callable[[str], str] | None] = {}
        """By holder: what a text is to become by a write, of what it turns out to be; None: it stays open."""
        self._contents: dict[int, str] = {}
        """By holder: of files that are being made."""
        self._arranged: CrdtsyncError | None = None
        replica.programs.append(self._hear)

    # -- what it sees -------------------------------------------------------------------------------

    @property
    def told(self) -> Mapping[EntryId, str]:
        return {entry: self._texts[holder][1] for entry, holder in self._kept.items()}

    @property
    def open(self) -> bool:
        return self._replica.engine is self._engine

    @property
    def ready(self) -> bool:
        return self.open and self._engine is not None and self._state.running and not self._state.catching_up

    def placements(self) -> Iterable[Placement]:
        return self._state.view.placements.values() if self._engine is not None else ()

    def at(self, path: str) -> Placement | None:
        entry = self._state.view.at(path)
        return None if entry is None else self._state.view.get(entry)

    def holds_below(self, path: str) -> bool:
        return self._state.view.holds_below(path)

    def text(self, entry: EntryId) -> str:
        return self._state.documents.text(entry)

    def blob(self, placed: Placement) -> bytes:
        """What the room says: on this disk something else may stand there that is to go elsewhere."""
        assert placed.version is not None
        replica, digest = self._replica, placed.version.digest
        node = replica.disk.get(placed.path)
        if node is not None and node.digest == digest:
            return node.data  # a hub may have lost it
        return replica.hub.blob_once(replica.room, digest)

    # -- what it does -------------------------------------------------------------------------------

    def open_text(self, placed: Placement) -> None:
        """It is in ``told`` once it is open, which may take a look at the disk."""
        self._open(placed.path, None, None)

    def close_text(self, entry: EntryId) -> None:
        self._let_go(self._kept.pop(entry))

    def edit(self, entry: EntryId, edit: Edit) -> None:
        self._edit(self._kept[entry], (edit,))

    def write(self, path: str, new: Callable[[str], str]) -> None:
        placed = self.at(path)
        if placed is not None and placed.kind is not Kind.TEXT:
            raise NotText(path)
        self._open(path, new, new("") if placed is None else None)

    def put_blob(self, path: str, data: bytes) -> None:
        raise NotText(f"{path} is written over the disk")

    def make_folder(self, path: str) -> None:
        self._arrange(ev.MakeFolder(self._holder(), path))

    def move(self, path: str, to: str) -> None:
        self._arrange(ev.MoveFiles(self._holder(), path, to))

    def delete(self, path: str) -> None:
        self._arrange(ev.DeleteFiles(self._holder(), path))

    def settle(self) -> int:
        """The replica keeps what is done from the instant on, and is settled by itself."""
        return 0

    def is_settled(self, number: int) -> bool:
        return True

    def close(self) -> None:
        for holder in [*self._texts]:
            self._let_go(holder)
        self._kept.clear()
        self._replica.programs.remove(self._hear)

    # -- the engine ---------------------------------------------------------------------------------

    @property
    def _state(self) -> ReplicaState:
        assert self._engine is not None
        return self._engine.state

    def _holder(self) -> int:
        self._replica.last_holder += 1
        return self._replica.last_holder

    def _say(self, event: ev.Said) -> None:
        if self.open:
            self._replica.handle(event)

    def _open(self, path: str, new: Callable[[str], str] | None, content: str | None) -> None:
        holder = self._holder()
        self._writing[holder] = new
        if content is not None:
            self._contents[holder] = content
        self._say(ev.OpenText(holder, path, new is not None, content=content))

    def _arrange(self, event: ev.Arrange) -> None:
        self._arranged = None
        self._say(event)
        if self._arranged is not None:
            raise self._arranged

    def _hear(self, effect: ef.ForPrograms) -> None:
        match effect:
            case ef.TextOpened(holder, entry, _, content) if holder in self._writing:
                self._texts[holder] = entry, content
                self._contents.pop(holder, None)
                self._clock.after(0.0, partial(self._opened, holder))
            case ef.TextRefused(holder):
                self._writing.pop(holder, None)
                self._refused(self._contents.pop(holder, ""))
            case ef.TextChanged(holders, _, edits):
                for holder in self._texts.keys() & set(holders):
                    self._becomes(holder, edits)
            case ef.Arranged(_, error):
                self._arranged = error
            case _:
                pass

    def _opened(self, holder: int) -> None:
        """Once all that came with it is heard."""
        if holder not in self._texts or not self.open:
            return
        (entry, text), new = self._texts[holder], self._writing.pop(holder)
        if new is not None:
            self._edit(holder, diff(text, new(text)))
        if new is not None or entry in self._kept:
            self._let_go(holder)
        else:
            self._kept[entry] = holder

    def _edit(self, holder: int, edits: tuple[Edit, ...]) -> None:
        self._becomes(holder, edits)
        self._say(ev.EditText(holder, self._texts[holder][0], edits))

    def _becomes(self, holder: int, edits: tuple[Edit, ...]) -> None:
        entry, text = self._texts[holder]
        self._texts[holder] = entry, apply_edits(text, edits)

    def _let_go(self, holder: int) -> None:
        del self._texts[holder]
        self._say(ev.HolderGone(holder))
