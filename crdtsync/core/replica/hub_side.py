"""What frames from the hub mean for the room's state, and how changes of the tree are logged and sent.

Implements the session's ``Listener``; knows documents and tree, not disk or plan beyond asking to plan again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from crdtsync.core.replica.bringing import Bringing, brought, is_held, with_inserts
from crdtsync.core.replica.ingest import Ingest
from crdtsync.core.replica.judging import Judging
from crdtsync.core.replica.live import LiveTexts
from crdtsync.core.replica.records import AddUpdate, Head, PutHead, PutMeta, ReplaceUpdates
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.told import ToldOrder
from crdtsync.core.replica.transfers import Transfers
from crdtsync.core.replica.unaccepted import Unaccepted
from crdtsync.core.text.merging import merge_updates
from crdtsync.core.text.statevector import decode
from crdtsync.core.text.update import EMPTY_UPDATE, check_update
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.ids import TREE, DocumentId, EntryId
from crdtsync.core.wire.control import Presence, Refused
from crdtsync.errors import MalformedUpdate

TREE_ROWS_KEY = "tree rows"
"""What the tree's log says, as it was at a clean end."""


class Connection(Protocol):
    """What the engine does on the session's word."""

    def caught_up(self, reseed: bool) -> None: ...

    def probed(self, number: int) -> None: ...

    def refused(self, refused: Refused) -> None: ...


class HubSide:
    """The room as the hub tells it. ``now`` is set by the engine before every event."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._state: ReplicaState
        self._ingest: Ingest
        self._transfers: Transfers
        self._live: LiveTexts
        self._tree_log_length = 0
        self._has_snapshot = False
        self._tree_changed_at: float | None = None
        self.now = 0.0
        self._told = ToldOrder()
        self._told_since: dict[EntryId, dict[int, int]] = {}
        """Of texts that are being compared with the hub's: what it told since it was asked."""
        self.judging = Judging()
        self._changed: dict[EntryId, None] = {}
        """Texts that others changed, in which edits of ours have no place yet."""
        self._found_again: list[tuple[EntryId, bytes, bytes]] = []
        """Of texts that only a file had left: what it had, and what others bring now."""
        self.clean: set[DocumentId] = set()
        """Documents that the hub has, durably, and whose heads still say that it may not."""

    def serve(
        self,
        state: ReplicaState,
        ingest: Ingest,
        transfers: Transfers,
        live: LiveTexts,
        tree_log_length: int,
        *,
        snapshot: bool,
    ) -> None:
        """Give what could not be there before the session was.

        ``snapshot``: the store has one of the tree's rows, which may be outdated by now.
        """
        self._state = state
        self._ingest = ingest
        self._transfers = transfers
        self._live = live
        self._tree_log_length = tree_log_length
        self._has_snapshot = snapshot

    # -- the session's listener ---------------------------------------------------------------------

    def on_update(self, document: DocumentId, update: bytes, at_ms: int, tentative: bool) -> None:
        """An update of someone else."""
        if tentative:
            self.clean.discard(document)
        if document == TREE:
            self._tree_update(update, dirty=tentative)
            return
        entry = EntryId(document)
        documents = self._state.documents
        try:
            changed = documents.apply_remote(entry, update, at_ms, self.now, dirty=tentative)
        except MalformedUpdate as error:
            placed = self._state.view.get(entry)
            path = entry if placed is None else placed.path
            self._state.tell(path, "refused", f"an update from the hub cannot be applied: {error}")
            return
        if self._state.session.compares(document):
            self._told_since[entry] = with_inserts(self._told_since.get(entry, {}), update)
        if self._is_unordered(entry):
            return
        self._told.add(entry, update)
        if entry in self._state.unaccepted:
            self._found(entry, update, stored=not tentative)
        self._came(entry, update, ours=False)
        if (found := self._state.found_again.get(entry)) is not None:
            self._found_again.append((entry, found, update))
        # What comes from the log may be here already, from a hub that then lost its place behind ours.
        if (changed or not tentative) and entry in self._state.unaccepted:
            self._changed[entry] = None

    def on_heard(self) -> None:
        """All updates of a message are here: what one of them took out, another may have brought back."""
        for entry in list(self._changed):
            self._take_back(entry)
        for entry, found, update in self._found_again:
            if self.judging.may_have(entry, update):
                self.judging.again(entry, found, update, self._state.documents.log(entry))
        self._found_again.clear()

    def _take_back(self, entry: EntryId) -> None:
        """Before edits of ours get their place, too: what came before them was first."""
        if entry in self._changed:
            del self._changed[entry]
            self._ingest.take_back_doubled(entry, self.now)

    def on_caught_up(self, reseed: bool) -> None:
        """Everything that the hub had is here; now the disk may be ingested."""
        self._connection.caught_up(reseed)

    def on_accepted(self, updates: Iterable[tuple[DocumentId, bytes]]) -> None:
        """The hub has given these edits of ours their place; later ones may still be on their way."""
        unaccepted = self._state.unaccepted
        for document, update in updates:
            if document != TREE:
                self._told.add(EntryId(document), update)
                self._came(EntryId(document), update, ours=True)
            flying = unaccepted.of(EntryId(document))
            placed = [edit.update for edit in flying if edit.sent == update]
            self._placed(EntryId(document), placed, stored=False)

    def on_stored(self, updates: Iterable[tuple[DocumentId, bytes]]) -> None:
        """The hub has these edits of ours durably, at their place."""
        for document, update in updates:
            self._state.unaccepted.stored(EntryId(document), update)

    def on_away(self) -> None:
        """The connection is gone: what the hub had not stored may lose its place to others' edits."""
        self.judging.away()
        self._told_since.clear()
        if self._state.unaccepted.lose_places():
            self._state.documents.placed.forget()

    def on_unresumed(self) -> None:
        """The hub cannot say in which order things happened since we were here."""
        self._told.lose()
        self._state.unaccepted.lose_order()
        self._state.documents.placed.forget()

    def on_clean(self, document: DocumentId) -> None:
        """The hub has, durably, all of the document; written down later, with others."""
        self.clean.add(document)
        self._state.unaccepted.all_stored(EntryId(document))

    def on_presence(self, presence: Presence) -> None:
        """Who else is here, and where."""
        self._live.someone(presence)

    def on_left(self, member: int) -> None:
        self._live.left(member)

    def on_wanted(self, digests: Iterable[Digest]) -> None:
        """Someone lacks these blobs, and so does the hub: what stands here is offered again."""
        if not self._state.session.read_only:
            self._transfers.offer(digests)

    def on_probed(self, number: int) -> None:
        """All that the hub had when the probe arrived is here."""
        self._connection.probed(number)

    def on_refused(self, refused: Refused) -> None:
        """The hub will not have us."""
        self._connection.refused(refused)

    def state_vectors(self) -> Mapping[DocumentId, bytes]:
        """Of all documents, the tree last."""
        heads = self._state.documents.heads.values()
        vectors = {head.document: head.state_vector for head in heads if head.document != TREE}
        vectors[TREE] = self._state.tree.state_vector
        return vectors

    def state_vector(self, document: DocumentId) -> bytes:
        """What we have of one document."""
        if document == TREE:
            return self._state.tree.state_vector
        return self._state.documents.state_vector(EntryId(document))

    def _found(self, entry: EntryId, update: bytes, *, stored: bool) -> None:
        """What the log has of ours was placed there before the connection broke, though we were not told; or
        another brought it there."""
        flying = self._state.unaccepted.of(entry)
        placed = [edit.update for edit in flying if update in (edit.sent, edit.update)]
        if not placed:
            ends = with_inserts({}, update)
            if stored or any(is_held(edit.update, ends) for edit in flying):
                placed = self._state.documents.placed.contained([edit.update for edit in flying], update)
        self._placed(entry, placed, stored=stored)

    def _placed(self, entry: EntryId, updates: Sequence[bytes], *, stored: bool) -> None:
        if not updates:
            return
        self._take_back(entry)
        self._state.unaccepted.accepted(entry, updates, stored=stored)
        self._state.documents.placed.place(entry, updates, last=entry not in self._state.unaccepted)

    def difference(self, document: DocumentId, state_vector: bytes) -> bytes:
        """What the hub lacks of a document, which is dirty until acknowledged; ``b""`` for nothing."""
        documents = self._state.documents
        entry = EntryId(document)
        if document == TREE:
            update = self._state.tree.diff_update(state_vector)
        elif self._is_unordered(entry):
            return self._reseed(entry, state_vector)
        else:
            update = documents.diff_update(entry, state_vector)
        flying = self._state.unaccepted.of(entry)
        ours = [edit.update for edit in flying]
        if update in (b"", EMPTY_UPDATE):
            self._placed(entry, ours, stored=True)
            return b""
        if document != TREE:
            update = self._judged(entry, state_vector, update, ours)
        self.clean.discard(document)
        documents.mark(document, dirty=True)
        if entry in self._state.unaccepted:
            apart = self._apart(entry, flying, update) if flying else None
            self._state.unaccepted.sent_as(entry, apart or update)
        return update

    def _judged(self, entry: EntryId, state_vector: bytes, update: bytes, ours: Sequence[bytes]) -> bytes:
        """What the hub lacks of a text, once what it has of that by another is taken out."""
        documents = self._state.documents
        bringing = brought(documents.log(entry), ours, self._clocks(entry, state_vector))
        if bringing is None:
            return update
        for again in self.judging.bring_judged(entry, bringing, ours):
            self._ingest.take_out(entry, again, self.now, apart=False)
        return documents.diff_update(entry, state_vector)

    def _clocks(self, entry: EntryId, state_vector: bytes) -> dict[int, int]:
        """What the hub has of a text: as it said, and what it told since."""
        clocks = dict(decode(state_vector))
        for client, clock in self._told_since.pop(entry, {}).items():
            clocks[client] = max(clock, clocks.get(client, 0))
        return clocks

    def _came(self, entry: EntryId, update: bytes, *, ours: bool) -> None:
        own = [edit.update for edit in self._state.unaccepted.of(entry)]
        self.judging.came(entry, update, own, ours=ours)

    def judge(self) -> None:
        """Go on with what has yet to be judged."""
        for entry, again in self.judging.advance():
            self._ingest.take_out(entry, again, self.now)

    def _is_unordered(self, entry: EntryId) -> bool:
        return entry in self._state.unaccepted.unordered or entry in self._told.lost

    def _reseed(self, entry: EntryId, state_vector: bytes) -> bytes:
        """Bring a text to a hub that lost its order, update by update as the old one had told of them.

        So whoever made the same change as another finds out again who was the later one. What the hub has
        comes first: what we bring of the same is taken out again, whoever made it.
        """
        unaccepted, documents = self._state.unaccepted, self._state.documents
        clocks = self._clocks(entry, state_vector)
        told = self._told.take(entry)
        unaccepted.unordered.discard(entry)
        flying = [edit.update for edit in unaccepted.of(entry)]
        self._placed(entry, [update for update in flying if is_held(update, clocks)], stored=True)
        log = documents.log(entry)
        rows = [update for update in told if update in log]
        rows += [update for update in flying if update not in told]
        bringing = Bringing(log, rows, clocks)
        first = bringing.first()
        if first is None:
            unaccepted.forget(entry)  # nobody knows the order any more, or it does not matter
        else:
            for update in (first, *bringing.rows):
                if update != EMPTY_UPDATE:
                    self._state.session.push(DocumentId(entry), update)
            unaccepted.sent_alone(entry)
            again = b""
            if self._ingest.stands_twice(entry):
                again = bringing.taken_back(unaccepted.of(entry))
                unaccepted.forget(entry)  # the later one knows, or will be told
            self.judging.bring(entry, bringing, flying if again else ())
            if again:
                self._ingest.take_out(entry, again, self.now)
            self.judge()
        update = documents.diff_update(entry, state_vector)
        if update in (b"", EMPTY_UPDATE):
            unaccepted.forget(entry)
            return b""
        self.clean.discard(DocumentId(entry))
        documents.mark(DocumentId(entry), dirty=True)
        return update

    def _apart(self, entry: EntryId, flying: Sequence[Unaccepted], lacking: bytes) -> bytes | None:
        """Push our edits by themselves before all that the hub lacks, if that is more.

        What others had sent after them is among it, if a hub that is gone had placed both: maybe the same
        change. They must see ours without it. What had come before ours would have been taken back by now.
        """
        ours = merge_updates([(edit.update, check_update(edit.update)) for edit in flying])
        if len(ours) > 1:
            return None  # one by one they would seem to be what one of them takes back
        if ours[0] == lacking or check_update(ours[0]).structs == check_update(lacking).structs:
            return None
        self._state.session.push(DocumentId(entry), ours[0])
        return ours[0]

    # -- the tree -----------------------------------------------------------------------------------

    def perform_operations(self) -> None:
        """Make the changes of the tree that this event led to, and send them."""
        state = self._state
        operations, state.operations = state.operations, []
        state.leaving.clear()
        update, changed = state.tree.edit(operations)
        if update:
            self._log_tree(update, dirty=True)
            self.clean.discard(TREE)
            state.session.push(TREE, update)
        state.view.refresh(changed)
        self._live.settled(changed)
        state.replan(changed)

    def _tree_update(self, update: bytes, *, dirty: bool) -> None:
        state = self._state
        try:
            changed = state.tree.apply_update(update)
        except MalformedUpdate as error:
            state.tell("", "refused", f"an update from the hub cannot be applied: {error}")
            return
        self._log_tree(update, dirty=dirty)
        state.view.refresh(changed)
        self._live.settled(changed)
        state.replan(changed)

    def rest_tree(self, now: float) -> bool:
        """Let go of the tree document if nobody has changed it for long; whether that was done now."""
        tree, changed_at = self._state.tree, self._tree_changed_at
        wait_s = len(tree.rows) * limits.TREE_RESTS_AFTER_S_PER_ENTRY
        return (changed_at is None or now - changed_at >= wait_s) and tree.rest()

    def compact_tree(self, from_updates: int) -> bytes | None:
        """Make one update of the tree's log, but for those that wait for others, if it has that many more;
        returns it."""
        tree = self._state.tree
        if self._tree_log_length < from_updates + len(tree.pending):
            return None
        log = tree.encode_log()
        self._tree_log_length = len(log)
        self._state.out.record(ReplaceUpdates(TREE, log))
        return log[0]

    def end_tree(self) -> None:
        """At a clean end: leave a log, and a snapshot of it, that the next start reads quickly."""
        large = len(self._state.tree.rows) >= limits.TREE_RESTS_FROM_ENTRIES
        if self._tree_changed_at is not None or (large and not self._has_snapshot):
            state = self.compact_tree(1 if large else limits.COMPACT_TREE_AT_END_UPDATES)
            if state is not None:
                self._has_snapshot = True
                self._state.out.record(PutMeta(TREE_ROWS_KEY, self._state.tree.snapshot(state)))

    def _log_tree(self, update: bytes, *, dirty: bool) -> None:
        tree, documents = self._state.tree, self._state.documents
        self._state.out.record(AddUpdate(TREE, update))
        self._tree_log_length += 1
        self._tree_changed_at = self.now
        self.compact_tree(limits.COMPACT_AFTER_UPDATES)
        old = documents.heads.get(TREE)
        head = Head(TREE, tree.state_vector, None, 0, 0, dirty or (old is not None and old.dirty))
        documents.heads[TREE] = head
        self._state.out.record(PutHead(head))
