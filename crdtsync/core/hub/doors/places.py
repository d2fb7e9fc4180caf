"""What stands at a path of a room, and which texts ever stood there; the room's tree as the doors need it.

The hub repairs nothing: the view is what every replica computes, and the repairs are left to the replicas. Of
the texts it knows state vectors only, as far as it was told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from crdtsync.core.hub import bounds
from crdtsync.core.text import statevector
from crdtsync.core.text.update import beginners
from crdtsync.core.tree.document import TreeDocument
from crdtsync.core.tree.rows import Operation
from crdtsync.core.tree.view import RoomView
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId, entry_of_client, printable
from crdtsync.core.values.paths import parents, path_problem
from crdtsync.core.values.reserved import reserved_path

STOOD_MAX: Final = 32
"""Texts of one path that are looked at, the latest first: a client that kept an older one than these has
to load its document anew."""


class Places:
    """``held`` gives the state vectors of open texts, ``opened`` texts that clients opened at a path."""

    def __init__(
        self,
        client_id: int,
        held: Callable[[EntryId], bytes | None],
        opened: Callable[[str], tuple[EntryId, ...]],
    ) -> None:
        self._held = held
        self._opened = opened
        self._tree = TreeDocument(client_id)
        self._vectors: dict[EntryId, bytes] = {}
        """Of texts that are not open."""
        self._stood: dict[str, tuple[EntryId, ...]] = {}
        """Texts by every path at which they were seen, the latest first."""
        self._view = RoomView(self._tree.rows, self)

    # -- what the view asks ---------------------------------------------------------------------------

    def state_vector(self, entry: EntryId) -> bytes:
        held = self._held(entry)
        return held if held is not None else self._vectors.get(entry, statevector.EMPTY_STATE_VECTOR)

    # -- what is known --------------------------------------------------------------------------------

    def rest(self) -> None:
        """Nothing has changed for a while: what is only needed for a change is kept encoded."""
        if len(self._tree.rows) <= bounds.REST_ENTRIES_MAX:
            self._tree.rest(0)

    def impossible(self, path: str) -> str | None:
        """Why there can never be a text at this path, or None."""
        shown = printable(path)
        if (problem := path_problem(path)) is not None:
            return f"No file can have the path {shown!r}: {problem}."
        if reserved_path(path):
            return f"{shown!r} is never shared: it belongs to version control, an editor or the system."
        return None

    def problem(self, path: str) -> str | None:
        """What stands in the way of a text at a path that could be one's, or None."""
        shown = printable(path)
        standing = self.at(path)
        kind = None if standing is None else self._tree.rows[standing].kind
        match kind:
            case Kind.BLOB:
                return f"{shown!r} is not a text, so it cannot be edited as one."
            case Kind.LINK:
                return f"{shown!r} is a link: open the file that it leads to."
            case Kind.DIR:
                return f"{shown!r} is a folder: open a file in it."
            case _:
                pass
        if self._view.holds_below(path):
            return f"{shown!r} is a folder: open a file in it."
        for folder in parents(path):
            above = self.at(folder)
            if above is not None and self._tree.rows[above].kind is not Kind.DIR:
                return f"{printable(folder)!r} is a file, so there can be nothing in it."
        return None

    def at(self, path: str) -> EntryId | None:
        """The entry that stands at the path."""
        return self._view.at(path)

    def text_at(self, path: str) -> EntryId | None:
        """The entry that stands at the path, if it is a text."""
        standing = self.at(path)
        return standing if standing is not None and self._tree.rows[standing].kind is Kind.TEXT else None

    def path_of(self, entry: EntryId) -> str | None:
        row = self._tree.rows.get(entry)
        return None if row is None else row.path

    def stood(self, path: str, client: bytes) -> tuple[EntryId, ...]:
        """The texts that stand at the path or stood there, whoever stands there now first; and those that
        were made there by clients of which ``client``, a state vector, knows. Raises ValueError."""
        standing = self.text_at(path)
        first = () if standing is None else (standing,)
        made = (entry_of_client(path, author) for author in statevector.decode(client))
        rows = self._tree.rows
        known = (entry for entry in made if entry in rows and rows[entry].kind is Kind.TEXT)
        return tuple(dict.fromkeys((*first, *self._opened(path), *self._stood.get(path, ()), *known)))

    def made_as(self, path: str, state: bytes, returns: bool) -> EntryId | None:
        """The identity of a file that a client makes with that state: the same if it has to make it again,
        because the hub lost it. One that there is already only for a client that ``returns``."""
        entry = entry_of_client(path, min(authors)) if (authors := beginners(state)) else None
        return entry if returns or entry not in self else None

    def __contains__(self, entry: object) -> bool:
        """Whether there ever was such an entry."""
        return entry in self._tree.rows

    def is_known(self, entry: EntryId) -> bool:
        """Whether its state vector is known, so that what is said of it here is right."""
        return self._held(entry) is not None or entry in self._vectors

    def learn(self, entry: EntryId, state_vector: bytes) -> None:
        self._vectors[entry] = state_vector

    def unlearn(self, entry: EntryId) -> None:
        """The text has changed, and nobody here knows how."""
        self._vectors.pop(entry, None)

    def refresh(self, entries: Iterable[EntryId]) -> None:
        """These texts have changed, or are known now."""
        self._view.refresh(entries)

    # -- changes --------------------------------------------------------------------------------------

    def apply(self, update: bytes) -> set[EntryId]:
        """Someone changed the tree; returns the entries changed. Raises MalformedUpdate."""
        return self._changed(self._tree.apply_update(update))

    def edit(self, operations: Sequence[Operation]) -> bytes:
        """Change the tree; returns the update for the others."""
        update, changed = self._tree.edit(operations)
        self._changed(changed)
        return update

    def _changed(self, changed: set[EntryId]) -> set[EntryId]:
        self._note(changed)
        self._view.refresh(changed)
        return changed

    def _note(self, entries: Iterable[EntryId]) -> None:
        for entry in entries:
            row = self._tree.rows[entry]
            if row.kind is Kind.TEXT and row.path is not None:
                stood = self._stood.get(row.path, ())
                if entry not in stood:
                    self._stood[row.path] = (entry, *stood)[:STOOD_MAX]


def shares_history(client: bytes, text: bytes) -> bool:
    """Whether two state vectors are of one document: someone whose edits both have. Raises ValueError.

    Nobody types into two documents under one Yjs client id.
    """
    known = statevector.decode(text)
    return any(clock and known.get(author, 0) for author, clock in statevector.decode(client).items())
