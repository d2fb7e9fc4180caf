"""What the hub does with Yjs documents: check an update, compare with a state vector, compact a log.

No document outlives the call that made it, so these run on any thread; everything between is bytes. A log is
read lazily, so that its reader can let other threads run between two rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from pycrdt import Doc

from crdtsync.core.hub import bounds
from crdtsync.core.hub.effects import CheckUpdates
from crdtsync.core.hub.events import UpdatesChecked
from crdtsync.core.text import statevector
from crdtsync.core.text.causal import CausalBuffer
from crdtsync.core.text.merging import merge_updates
from crdtsync.core.text.slices import sliced
from crdtsync.core.text.update import EMPTY_UPDATE, UpdateShape, check_update
from crdtsync.core.tree.document import check_tree_update
from crdtsync.core.values.ids import TREE, DocumentId
from crdtsync.core.wire.messages import LogEntry
from crdtsync.errors import MalformedUpdate

_MERGED_MAX_UPDATES: Final = 128
"""Applied as one; each by itself costs as much as the whole of these, and in more than 1,000 costs grow."""


def problem_of(updates: Iterable[tuple[DocumentId, bytes]]) -> str | None:
    """What is wrong with the first update that no log may hold, or None.

    Only what some Yjs client could not apply is wrong. What an update depends on may come later.
    """
    for document, update in updates:
        try:
            read_sound(document, update)
        except MalformedUpdate as error:
            return f"an update of document {document} cannot be applied: {error}"
    return None


def read_sound(document: DocumentId, update: bytes) -> UpdateShape:
    """What an update is. Raises MalformedUpdate for one that no log may hold, as in ``problem_of``."""
    shape = (check_tree_update if document == TREE else check_update)(update)
    if not shape.empty:
        _apply(Doc(), update)
    return shape


def checked(request: CheckUpdates, pause: Callable[[], None] = lambda: None) -> UpdatesChecked:
    """Answer; ``pause`` is called before each update, so that others may run."""
    if not request.channel:
        return UpdatesChecked(request.member, problem_of(_pausing(request.updates, pause)))
    ((_, update),) = request.updates
    try:
        shape = check_update(update)
        _apply(Doc(), update)
    except MalformedUpdate as error:
        return UpdatesChecked(request.member, str(error), request.channel)
    return UpdatesChecked(request.member, None, request.channel, shape)


def _pausing(
    updates: Iterable[tuple[DocumentId, bytes]], pause: Callable[[], None]
) -> Iterator[tuple[DocumentId, bytes]]:
    for each in updates:
        pause()
        yield each


@dataclass(frozen=True, slots=True)
class Comparison:
    """``update`` is what the other side lacks, ``b""`` for nothing.

    Not ``complete``: the document has more that waits for what it depends on, or the update would not fit a
    frame, or its log cannot be applied as a whole; its rows say it all.
    """

    state_vector: bytes
    update: bytes
    complete: bool


def compare(entries: Iterable[LogEntry], state_vector: bytes, whole: int = 0) -> Comparison:
    """Compare the document with that log to someone's state vector. Raises ValueError for a malformed one.

    ``whole`` is the sequence of the row that ``compact`` made, if there is one.
    """
    clocks = statevector.decode(state_vector)
    log = _Log(entries, whole)
    if not log.sound:
        return Comparison(statevector.EMPTY_STATE_VECTOR, b"", complete=False)
    # Yrs takes a clock of 0 for "holds a part after a gap"; encoding leaves zeros out
    update = log.doc.get_update(statevector.encode(clocks))
    complete = not log.causal.pending
    if len(update) > bounds.UPDATE_MAX_BYTES:
        update, complete = b"", False
    return Comparison(log.state_vector, b"" if update == EMPTY_UPDATE else update, complete)


def load(entries: Iterable[LogEntry], whole: int = 0) -> tuple[bytes, ...]:
    """A document as updates, as few as may be: its state, then those that wait for what they depend on.

    ``whole`` as for ``compare``.
    """
    rows = list(entries)
    log = _Log(rows, whole)
    if not log.sound:
        return tuple(row.update for row in rows)
    integrated = {row.sequence for row in log.integrated()}
    waiting = tuple(row.update for row in rows if row.sequence not in integrated)
    return (log.doc.get_update(), *waiting) if integrated else waiting


@dataclass(frozen=True, slots=True)
class Compaction:
    """The rows with these sequences say no more than ``entry``, which takes the place of the last."""

    sequences: tuple[int, ...]
    entry: LogEntry


def compact(document: DocumentId, entries: Iterable[LogEntry], whole: int = 0) -> Compaction | None:
    """One row for all rows of a document that can be applied; None when that would not make it smaller.

    Rows that wait for what they depend on stay as they are: the state of a document does not hold them.
    ``whole`` as for ``compare``.
    """
    log = _Log(entries, whole)
    if not log.sound:
        return None
    rows = log.integrated()
    if len(rows) < 2:
        return None
    state = log.doc.get_update()
    if len(state) > bounds.UPDATE_MAX_BYTES:
        return None
    return Compaction(
        tuple(sorted(row.sequence for row in rows)),
        LogEntry(max(row.sequence for row in rows), max(row.at_ms for row in rows), document, state),
    )


def slices_of_tree(update: bytes) -> Sequence[bytes]:
    """An update of a tree in parts of which none takes long: whoever applies one holds up the process."""
    if len(update) <= bounds.TREE_SLICE_BYTES:
        return (update,)
    try:
        return sliced(update, bounds.TREE_SLICE_BYTES)
    except MalformedUpdate:
        return (update,)  # whoever takes it in tells


@dataclass(frozen=True, slots=True)
class _Row:
    """What is kept of a row once it has been applied. ``shape`` None: nothing of it waits."""

    sequence: int
    at_ms: int
    shape: UpdateShape | None


class _Log:
    """A document made from its log, which remembers what each row needs to count as applied.

    Not ``sound``: a row that could be applied by itself cannot be applied here, and may have broken the
    document; then nothing that it says is used.
    """

    def __init__(self, entries: Iterable[LogEntry], whole: int) -> None:
        self.doc: Doc[Any] = Doc()
        self.causal = CausalBuffer()
        self.rows: list[_Row] = []
        self.sound = True
        self._is_tree = False
        try:
            self._load(iter(entries), whole)
        except MalformedUpdate:
            self.sound = False

    @property
    def state_vector(self) -> bytes:
        return statevector.encode(self.causal.known)

    def integrated(self) -> list[_Row]:
        """The rows of which nothing waits: all that they insert and delete is below the state vector."""
        known = self.causal.known
        return [row for row in self.rows if row.shape is None or _is_below(row.shape, known)]

    def _load(self, entries: Iterator[LogEntry], whole: int) -> None:
        """A row that compaction made needs nothing, so it goes first and is not read struct by struct."""
        first = next(entries, None)
        if first is None:
            return
        entries = chain((first,), entries)
        tree = self._is_tree = first.document == TREE
        self.causal = CausalBuffer(values_only=tree)
        earlier: list[LogEntry] = []
        if whole:
            for entry in entries:
                if entry.sequence == whole:
                    self._apply(entry.update)
                    known = statevector.decode(self.doc.get_state())
                    self.causal = CausalBuffer(known, (entry.update,), values_only=tree)
                    self.rows.append(_Row(entry.sequence, entry.at_ms, None))
                    break
                earlier.append(entry)
        ready: list[tuple[bytes, UpdateShape | None]] = []
        for entry in chain(earlier, entries):
            shape = check_update(entry.update)
            ready += (
                (update, shape if update is entry.update else None)
                for update in self.causal.take(entry.update, shape).ready
            )
            if len(ready) >= _MERGED_MAX_UPDATES:
                self._integrate(ready)
            waits = not _is_below(shape, self.causal.known)
            self.rows.append(_Row(entry.sequence, entry.at_ms, shape if waits else None))
        self._integrate(ready)

    def _integrate(self, ready: list[tuple[bytes, UpdateShape | None]]) -> None:
        for update in merge_updates(ready):
            self._apply(update)
        ready.clear()

    def _apply(self, update: bytes) -> None:
        for part in slices_of_tree(update) if self._is_tree else (update,):
            _apply(self.doc, part)


def _is_below(shape: UpdateShape, state: Mapping[int, int]) -> bool:
    return all(
        ranges[-1][1] <= state.get(client, 0)
        for clocks in (shape.inserts, shape.deletes)
        for client, ranges in clocks.items()
    )


def _apply(doc: Doc[Any], update: bytes) -> None:
    """Raises MalformedUpdate, also for what pycrdt reports by a panic, which is no Exception."""
    try:
        doc.apply_update(update)
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise MalformedUpdate(str(error)) from None
        raise
