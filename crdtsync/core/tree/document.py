"""The tree document of a room: one Yjs document whose root maps are columns over EntryIds.

Sole user of pycrdt's Map. Knows how facts are stored, not which entries are alive or where they stand.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, assert_never
from weakref import ref

from pycrdt import Doc, Map, MapEvent, Subscription

from crdtsync.core.text.causal import CausalBuffer
from crdtsync.core.text.statevector import decode
from crdtsync.core.text.update import UpdateShape, check_update
from crdtsync.core.tree.columns import decode_origin, decode_version, encode_origin, encode_version
from crdtsync.core.tree.rows import (
    Create,
    DropVersions,
    Named,
    Operation,
    Origin,
    PutVersion,
    Row,
    SetExecutable,
    SetGone,
    SetPath,
)
from crdtsync.core.tree.snapshot import decode_snapshot, encode_snapshot
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Kind
from crdtsync.core.values.ids import EntryId, is_entry_id
from crdtsync.errors import MalformedUpdate

COLUMNS = ("path", "kind", "exec", "gone", "origin", "versions")

_log = logging.getLogger(__name__)


def check_tree_update(update: bytes) -> UpdateShape:
    """Read an update of a tree, in which nobody keeps anything but values. Raises MalformedUpdate.

    pycrdt would panic over some of the rest only when it tells what changed, when it is too late.
    """
    shape = check_update(update)
    if not shape.values_only:
        raise MalformedUpdate("the update puts something else than values into the room's tree")
    return shape


class TreeDocument:
    """Holds the rows of all entries, alive or not, and turns operations into Yjs updates."""

    def __init__(
        self,
        client_id: int,
        updates: Iterable[bytes] = (),
        known: Mapping[EntryId, Named] | None = None,
        snapshot: str = "",
        again: Callable[[], Iterable[bytes]] | None = None,
    ) -> None:
        """``known``: who keeps identities and paths already; rows hold those rather than copies.

        With a ``snapshot`` of the only update the document rests from the start. That one is not kept if
        ``again`` gives it again; asked once, before anything changes.
        """
        self._client_id = client_id
        self.rows: dict[EntryId, Row] = {}
        self._changed: set[EntryId] = set()
        self._following: list[Subscription] = []
        self._resting: tuple[Callable[[], bytes], bytes] | None = None
        """While the document is let go of: what tells all of it as one update, and its state vector."""
        self._causal = CausalBuffer(values_only=True)
        updates = list(updates)
        if len(updates) == 1 and (read := decode_snapshot(snapshot, updates[0], known or {})) is not None:
            self.rows = read.rows
            self._causal.known = decode(read.state_vector)
            self._resting = partial(_first, again or partial(iter, updates)), read.state_vector
            return
        self._open()
        with self._doc.transaction():
            for number, update in enumerate(updates):
                if number == 0:
                    # Our own compacted state, or the first update there was: whole, so not read apart.
                    self._doc.apply_update(update)
                    self._causal.known = decode(self._doc.get_state())
                    continue
                for ready in self._causal.take(update).ready:
                    self._doc.apply_update(ready)
        self._read_all(known or {})

    @property
    def state_vector(self) -> bytes:
        return self._doc.get_state() if self._resting is None else self._resting[1]

    @property
    def pending(self) -> tuple[bytes, ...]:
        """What waits for updates that have not come, in the order in which it came."""
        return self._causal.pending

    def encode_state(self) -> bytes:
        """The whole document as one update; without what still waits for missing dependencies."""
        return self._doc.get_update() if self._resting is None else self._resting[0]()

    def encode_log(self) -> tuple[bytes, ...]:
        """The whole document as few updates, what is pending last."""
        return (self.encode_state(), *self.pending)

    @property
    def resting(self) -> bool:
        """Whether the document is kept encoded until it is needed."""
        return self._resting is not None

    def snapshot(self, state: bytes) -> str:
        """What a later start need not load the document for; ``state`` is what ``encode_state`` returned.

        ``""`` where that is not worth it, or not possible: see ``rest``.
        """
        if self.pending or len(self.rows) < limits.TREE_RESTS_FROM_ENTRIES:
            return ""
        return encode_snapshot(self.rows, state, self.state_vector)

    def rest(self, from_entries: int | None = None) -> bool:
        """Keep the document encoded, in a tenth of the memory, until it is needed; whether that was done now.

        The rows stay. Not for one of fewer than ``from_entries`` (or ``TREE_RESTS_FROM_ENTRIES``), nor when
        updates wait for others: what waits is in no update.
        """
        least = limits.TREE_RESTS_FROM_ENTRIES if from_entries is None else from_entries
        if self._resting is not None or self.pending or len(self.rows) < least:
            return False
        self._resting = partial(_first, partial(iter, [self._doc.get_update()])), self._doc.get_state()
        self._let_go()
        del self._doc, self._path, self._kind, self._exec, self._gone, self._origin, self._versions
        return True

    def _wake(self) -> None:
        if self._resting is not None:
            state = self._resting[0]()
            self._resting = None
            self._open()
            with self._doc.transaction():
                self._doc.apply_update(state)
            self._follow()

    def diff_update(self, state_vector: bytes) -> bytes:
        """What someone at ``state_vector`` lacks."""
        self._wake()
        return self._doc.get_update(state_vector)

    def apply_update(self, update: bytes) -> set[EntryId]:
        """Apply a Yjs update and return the entries whose rows changed.

        Raises MalformedUpdate; the document is then as before.
        """
        ready = self._causal.take(update, check_tree_update(update)).ready
        self._wake()
        try:
            with self._doc.transaction():
                for part in ready:
                    self._doc.apply_update(part)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit | MemoryError):
                raise
            self._reopen()
            raise MalformedUpdate(f"the room's tree cannot take an update: {error}") from None
        return self._take_changed()

    def edit(self, operations: Sequence[Operation]) -> tuple[bytes, set[EntryId]]:
        """Carry out the operations in one transaction; returns the update and the entries changed."""
        self._wake()
        before = self._doc.get_state()
        with self._doc.transaction():
            for operation in operations:
                self._perform(operation)
        changed = self._take_changed()
        after = self._doc.get_state()
        if after == before and not changed:
            return b"", changed
        self._causal.known = decode(after)
        return self._last_update, changed

    def _perform(self, operation: Operation) -> None:
        match operation:
            case Create(entry, kind, path, executable, origin, version):
                self._path[entry] = path
                self._kind[entry] = kind.value
                if executable:
                    self._exec[entry] = True
                self._origin[entry] = encode_origin(origin)
                if version is not None:
                    self._versions[f"{entry}:{version.digest}"] = encode_version(version)
            case SetPath(entry, path, copy_of):
                self._path[entry] = path
                if copy_of is not None:
                    old = self.rows[entry].origin if entry in self.rows else Origin()
                    self._origin[entry] = encode_origin(Origin(old.by, old.at_ms, copy_of))
            case SetExecutable(entry, executable):
                if executable:
                    self._exec[entry] = True
                elif entry in self._exec:
                    del self._exec[entry]
            case PutVersion(entry, version, seen):
                self._versions[f"{entry}:{version.digest}"] = encode_version(version)
                self._drop_versions(entry, [digest for digest in seen if digest != version.digest])
            case DropVersions(entry, seen):
                self._drop_versions(entry, seen)
            case SetGone(entry, state_vector):
                self._gone[entry] = state_vector
            case _:
                assert_never(operation)

    def _drop_versions(self, entry: EntryId, digests: Iterable[Digest]) -> None:
        for digest in digests:
            key = f"{entry}:{digest}"
            if key in self._versions:
                del self._versions[key]

    def __del__(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        """What follows a document keeps all of it in memory (pycrdt cannot see the cycle), so that ends."""
        for subscription in self._following:
            subscription.drop()
        self._following = []
        self._columns: dict[str, Map[Any]] = {}

    def _open(self) -> None:
        """Start with an empty document."""
        self._let_go()
        self._doc: Doc[Any] = Doc(client_id=self._client_id)
        self._columns = {name: self._doc.get(name, type=Map) for name in COLUMNS}
        self._path: Map[Any] = self._columns["path"]
        self._kind: Map[Any] = self._columns["kind"]
        self._exec: Map[Any] = self._columns["exec"]
        self._gone: Map[Any] = self._columns["gone"]
        self._origin: Map[Any] = self._columns["origin"]
        self._versions: Map[Any] = self._columns["versions"]
        self._last_update = b""

    def _read_all(self, known: Mapping[Any, Named]) -> None:
        """Make the rows of a document that was loaded, and follow it from here on.

        A column as JSON takes a quarter of the time of telling it cell by cell. It shows bytes as a list; to
        a row either is a missing value, but where bytes are meant.
        """
        self.rows.clear()
        for name, column in self._columns.items():
            cells: dict[str, object] = dict(column) if name == "gone" else json.loads(str(column))
            for key, value in cells.items():
                same = known.get(key)
                if same is None:
                    self._set(name, key, value)
                else:
                    self._set(name, same.entry, same.path if value == same.path else value)
        self._changed.clear()
        self._follow()

    def _follow(self) -> None:
        """Have the rows told of every change, by Yrs' own maps: pycrdt looks through each value for shared
        types, of which there are none, and that is half of what a change costs."""
        columns = self._columns.items()
        self._following = [column.integrated.observe(_Observer(ref(self), name)) for name, column in columns]
        self._following.append(self._doc.observe(self._rememberer()))

    def _reopen(self) -> None:
        """Rebuild after pycrdt panicked, from what the broken document can still tell."""
        state = self._doc.get_update()
        self._open()
        self._doc.apply_update(state)
        self._causal.known = decode(self._doc.get_state())
        self._read_all({})

    def _rememberer(self) -> Callable[[Any], None]:
        found = ref(self)

        def remember(event: Any) -> None:
            tree = found()
            assert tree is not None  # it ends this before it is gone
            tree._last_update = event.update

        return remember

    def _set(self, column: str, key: str, value: object) -> None:
        """Take one changed cell into its row; a value that no honest replica writes counts as missing."""
        name, _, digest = key.partition(":")
        if not is_entry_id(name):
            return
        entry = name
        row = self.rows.get(entry)
        if row is None:
            row = self.rows[entry] = Row()
        self._changed.add(entry)
        match column:
            case "path":
                row.path = value if isinstance(value, str) else None
            case "kind":
                row.kind = _KINDS.get(value) if isinstance(value, str) else None
            case "exec":
                row.executable = value is True
            case "gone":
                row.gone = bytes(value) if isinstance(value, bytes | bytearray) else None
            case "origin":
                row.origin = decode_origin(value)
            case _:  # the versions
                version = decode_version(digest, value)
                others = {known: each for known, each in row.versions.items() if known != digest}
                row.versions = others if version is None else {**others, version.digest: version}

    def _take_changed(self) -> set[EntryId]:
        changed, self._changed = self._changed, set()
        return changed


def _first(log: Callable[[], Iterable[bytes]]) -> bytes:
    return next(iter(log()))


class _Observer:
    """Has a tree document take in each change of one of its columns."""

    __slots__ = ("_column", "_tree")

    def __init__(self, tree: ref[TreeDocument], column: str) -> None:
        self._tree = tree
        self._column = column

    def __call__(self, event: MapEvent) -> None:
        keys: dict[str, dict[str, object]] = event.keys  # type: ignore[attr-defined]
        tree = self._tree()
        assert tree is not None  # it ends this before it is gone
        for key, change in keys.items():
            tree._set(self._column, key, change.get("newValue"))


_KINDS: Mapping[str, Kind] = {kind.value: kind for kind in Kind}
