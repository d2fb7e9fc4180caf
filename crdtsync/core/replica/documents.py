"""The replica's text documents: a few decoded ones, the others encoded in the store, and all their heads.

Every change goes through here, so that it is logged, and so that a text that stood on disk is kept as a
version before the document moves on from it. What a change means for disk and hub is left to others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Sequence

from crdtsync.core.replica.outbox import Outbox
from crdtsync.core.replica.placed import PlacedTexts
from crdtsync.core.replica.recalled import Recalled
from crdtsync.core.replica.records import (
    AddUpdate,
    AddVersion,
    DropVersions,
    Head,
    PutHead,
    Recall,
    ReplaceUpdates,
    Synced,
    Version,
)
from crdtsync.core.replica.saved import SavedTexts
from crdtsync.core.replica.trees import SyncedTree
from crdtsync.core.replica.unwritten import UnwrittenTexts
from crdtsync.core.text.diff import Edit
from crdtsync.core.text.distance import apart
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.first import FirstText, read_first, write_first
from crdtsync.core.text.statevector import EMPTY_STATE_VECTOR
from crdtsync.core.text.update import EMPTY_UPDATE
from crdtsync.core.values import limits
from crdtsync.core.values.digests import EMPTY_DIGEST, Digest, digest_of_text
from crdtsync.core.values.files import Content, Kind, TextContent
from crdtsync.core.values.ids import DocumentId, EntryId, client_id_in


class Documents:
    """Text documents by entry. Implements ``core.tree.view.Contents``."""

    def __init__(
        self, client_id: int, recall: Recall, heads: Iterable[Head], synced: SyncedTree, out: Outbox
    ) -> None:
        self._client_id = client_id
        self.recall = Recalled(recall)
        self._synced = synced
        self._out = out
        self.heads: dict[DocumentId, Head] = {head.document: head for head in heads}
        self._warm: OrderedDict[EntryId, TextDocument] = OrderedDict()
        self._log_lengths: dict[EntryId, int] = {}
        self._first: dict[EntryId, FirstText] = {}
        """New texts of the present event of which no document had to be made so far."""
        self._changed: dict[EntryId, tuple[int, bool]] = {}
        """What the present event changed: when (ms), and whether the hub may lack it."""
        self.saved = SavedTexts(synced)
        self.intended: dict[EntryId, Digest] = {}
        """Texts that a step is putting on disk: they may stand there before the outcome is known."""
        self._supposed: dict[EntryId, Digest] = {}
        """Versions that are kept only since such a step is under way."""
        self._unwritten_texts = UnwrittenTexts()
        """Of cold documents."""
        self._unwritten: dict[EntryId, list[bytes]] = {}
        """Updates of the present event, which the store does not hold yet."""
        self._fresh: dict[EntryId, list[Version]] = {}
        """Versions of the present event, likewise."""
        self._dropped: set[tuple[EntryId, Digest]] = set()
        """Versions that the store still has, and drops with the present event."""
        self.watched: Container[EntryId] = ()
        """Texts of which ``tell`` is told every change, and whether it was made on this machine."""
        self.tell: Callable[[EntryId, tuple[Edit, ...], bool], None]
        self.unplaced: Container[EntryId] = ()
        """Texts with edits of ours that the hub has not placed: in their logs these are kept apart."""
        self.placed = PlacedTexts(client_id, self.log)
        self._stood: dict[str, tuple[EntryId, Digest]] = {}
        """By path, the text that stood there until it was removed or moved."""
        self._recent: OrderedDict[tuple[EntryId, Digest], str] = OrderedDict()
        self._recent_chars = 0
        """Texts that stood on disk lately: under a storm of saves the store keeps too few of them for a
        writer that still has an older file open."""

    def state_vector(self, entry: EntryId) -> bytes:
        if entry in self._changed:
            return self._holding(entry).state_vector
        head = self.heads.get(DocumentId(entry))
        return EMPTY_STATE_VECTOR if head is None else head.state_vector

    @property
    def changing(self) -> bool:
        """Whether the present event changed any: their heads are of before."""
        return bool(self._changed)

    def text_digest(self, entry: EntryId) -> Digest:
        if entry in self._changed:
            return digest_of_text(self._holding(entry).text)
        head = self.heads.get(DocumentId(entry))
        return EMPTY_DIGEST if head is None or head.digest is None else head.digest

    def at_ms(self, entry: EntryId) -> int:
        head = self.heads.get(DocumentId(entry))
        return 0 if head is None else head.at_ms

    def text(self, entry: EntryId) -> str:
        text = self._unwritten_texts.take(entry)
        if text is None and entry not in self._first and entry not in self._warm:
            updates = self._log(entry)
            first = read_first(updates[0]) if len(updates) == 1 else None
            return self._load(entry, updates).text if first is None else first.text
        return self._holding(entry).text if text is None else text

    def diff_update(self, entry: EntryId, state_vector: bytes) -> bytes:
        return self._document(entry).diff_update(state_vector)

    def apply_remote(self, entry: EntryId, update: bytes, at_ms: int, now: float, *, dirty: bool) -> bool:
        """Take in an update of others; returns whether the document changed.

        The raw bytes are logged even if they wait for others. ``dirty``: the hub may still lose it.
        Raises MalformedUpdate, changing nothing.
        """
        if update in (b"", EMPTY_UPDATE):
            return False
        if self._is_new(entry) and (first := read_first(update)) is not None:
            self._begin(entry, first, update)
            self._changed[entry] = (at_ms, dirty)
            if entry in self.watched:
                self.tell(entry, (Edit(0, 0, first.text),), False)
            return True
        document = self._document(entry)
        self._keep_version(entry, now)
        if entry in self.watched:
            change, edits = document.apply_update_telling(update)
            if edits:
                self.tell(entry, edits, False)
        else:
            change = document.apply_update(update)
        if not change.changed and not change.pending:
            return False
        self.placed.came(entry, update)
        self._logged(entry, update)
        old_at, was_dirty = self._changed.get(entry, (self.at_ms(entry), self._is_dirty(entry)))
        self._changed[entry] = (max(old_at, at_ms), dirty or was_dirty)
        return change.changed

    def create(self, entry: EntryId, text: str, now: float) -> bytes:
        """Make the document of a new entry; returns the update to send, ``b""`` for an empty text."""
        if not text:
            return b""
        first = FirstText(client_id_in(entry, self._client_id), text)
        update = write_first(first)
        self._begin(entry, first, update)
        self._changed[entry] = (int(now * 1000), True)
        return update

    def edit(self, entry: EntryId, edits: Sequence[Edit], now: float, *, typed: bool = False) -> bytes:
        """Apply edits of our own; returns the update to send, ``b""`` if there is nothing to do.

        ``typed``: they are meant as they are, and never the same as those of another. Raises ValueError if
        they do not fit, changing nothing.
        """
        if not edits:
            return b""
        document = self._document(entry)
        self._keep_version(entry, now)
        update = document.edit(edits)
        if update:
            self._logged(entry, update)
            at_ms, _ = self._changed.get(entry, (self.at_ms(entry), True))
            self._changed[entry] = (max(at_ms, int(now * 1000)), True)
            if typed:
                self.placed.came(entry, update)
            if entry in self.watched:
                self.tell(entry, tuple(edits), True)
        return update

    def settle(self) -> list[EntryId]:
        """Write the heads of what changed since the last call; returns those entries."""
        if not self._changed:
            if len(self._warm) > limits.DOCUMENTS_WARM_MAX:
                self._cool()  # many were read, as for a hub that lost them
            return []
        changed = list(self._changed.items())
        for entry, (at_ms, dirty) in changed:
            document = self._holding(entry)
            text = document.text
            self._put_head(
                Head(
                    document=DocumentId(entry),
                    state_vector=document.state_vector,
                    digest=digest_of_text(text),
                    size_bytes=len(text),
                    at_ms=at_ms,
                    dirty=dirty,
                )
            )
            if entry in self._first:
                del self._first[entry], self._log_lengths[entry]
                self._keep_unwritten(entry, text)
        self._changed.clear()
        self._cool()
        return [entry for entry, _ in changed]

    def mark(self, document: DocumentId, *, dirty: bool) -> None:
        """Remember whether the hub may lack something of the document."""
        entry = EntryId(document)
        if entry in self._changed:
            self._changed[entry] = (self._changed[entry][0], dirty)
            return
        head = self.heads.get(document)
        if head is not None and head.dirty != dirty:
            self._put_head(head._replace(dirty=dirty))

    def keep_version(self, entry: EntryId, text: str, now: float) -> None:
        """Keep a text that stood on disk, as a base for late and stale saves."""
        version = Version(entry, digest_of_text(text), text, now)
        if self._supposed.get(entry) == version.digest:
            del self._supposed[entry]
        self.stands(entry, version.digest, text)
        self._fresh.setdefault(entry, []).append(version)
        self._dropped.discard((entry, version.digest))
        self._out.record(AddVersion(version))

    def stands(self, entry: EntryId, digest: Digest, text: str) -> None:
        """Know a text that stands on disk by its digest for some time, be it a version or not."""
        if (entry, digest) not in self._recent:
            self._recent_chars += len(text)
        self._recent[entry, digest] = text
        while self._recent_chars > limits.VERSIONS_MAX_BYTES:
            self._recent_chars -= len(self._recent.popitem(last=False)[1])

    def intention_ended(self, entry: EntryId, *, stood: bool) -> None:
        """The step that was under way is over. If its text never stood on disk, no save was made from it."""
        self.intended.pop(entry, None)
        digest = self._supposed.pop(entry, None)
        if stood or digest is None:
            return
        self._recent_chars -= len(self._recent.pop((entry, digest), ""))
        if entry in self._fresh:
            self._fresh[entry] = [version for version in self._fresh[entry] if version.digest != digest]
        self._dropped.add((entry, digest))
        self._out.record(DropVersions(entry, (digest,)))

    def keep_agreed(self, agreed: Synced, now: float) -> None:
        """Keep the text of a file that goes now: an editor may still hold it, and the file may come back."""
        if agreed.kind is Kind.TEXT and agreed.digest == self.text_digest(agreed.entry):
            self.keep_version(agreed.entry, self.text(agreed.entry), now)

    def left(self, agreed: Synced) -> None:
        """A file stands at its path no more; an editor may still hold its text, and save it there."""
        if agreed.kind is Kind.TEXT and agreed.digest is not None:
            self._stood[agreed.path] = agreed.entry, agreed.digest
            if len(self._stood) > limits.VERSIONS_MAX_PATHS:
                del self._stood[next(iter(self._stood))]

    def comes(self, agreed: Synced, now: float) -> None:
        """Others' file takes a path: what stood there may be the base of a save that is yet to come."""
        entry, digest = self._stood.pop(agreed.path, (agreed.entry, None))
        if entry != agreed.entry and agreed.kind is Kind.TEXT:
            self.inherits(agreed.entry, entry, digest, now)

    def inherits(self, heir: EntryId, entry: EntryId, digest: Digest | None, now: float) -> None:
        """A text that stood on disk as one entry's is a base of saves of another one from here on."""
        if digest is not None and (text := self.version(entry, digest)) is not None:
            self.keep_version(heir, text, now)

    def version(self, entry: EntryId, digest: Digest) -> str | None:
        """The text with that digest, if the document holds it now or it is kept as a recent version."""
        if digest == EMPTY_DIGEST:
            return ""
        if self.text_digest(entry) == digest:
            return self.text(entry)
        recent = self._recent.get((entry, digest))
        if recent is not None:
            return recent
        return next((v.text for v in self._stored(entry) if v.digest == digest), None)

    def apart(self, agreed: Synced, content: Content, at_most: float = 1.0) -> float | None:
        """How much of both is another text: 0 if they are equal, 1 at most. None if nobody can tell, or if it
        is seen at once to be above ``at_most``."""
        if not isinstance(content, TextContent) or agreed.kind is not Kind.TEXT or agreed.digest is None:
            return None
        known = self.version(agreed.entry, agreed.digest)
        return None if known is None else apart(known, content.text, at_most)

    def versions(self, entry: EntryId) -> list[Version]:
        """Recent versions, newest first."""
        return [*reversed(self._fresh.get(entry, ())), *self._stored(entry)]

    def written(self) -> None:
        """The records of this event are on their way to the store: ask it from now on."""
        for each in (self._fresh, self._dropped, self._unwritten):
            each.clear()
        self.recall.end()

    def _stored(self, entry: EntryId) -> list[Version]:
        return [v for v in self.recall.versions(entry) if (entry, v.digest) not in self._dropped]

    def _keep_version(self, entry: EntryId, now: float) -> None:
        """Before the first change of an event: what the document holds may be what stands on disk."""
        if entry in self._changed:
            return
        agreed, head = self._synced.get(entry), self.heads.get(DocumentId(entry))
        if head is None or head.digest is None:
            return
        stood = agreed is not None and head.digest == agreed.digest
        if not stood and head.digest != self.intended.get(entry):
            return
        if stood and agreed is not None:
            self.saved.stood(agreed)
        supposed = not stood and all(version.digest != head.digest for version in self.versions(entry))
        self.keep_version(entry, self._document(entry).text, now)
        if supposed:
            self._supposed[entry] = head.digest

    def _put_head(self, head: Head) -> None:
        self.heads[head.document] = head
        self._out.record(PutHead(head))

    def _is_dirty(self, entry: EntryId) -> bool:
        head = self.heads.get(DocumentId(entry))
        return head is not None and head.dirty

    def log(self, entry: EntryId) -> list[bytes]:
        """All updates of a text that are kept, in the order in which they came."""
        return [*self.recall.updates(DocumentId(entry)), *self._unwritten.get(entry, ())]

    def _logged(self, entry: EntryId, update: bytes) -> None:
        length = self._log_lengths.get(entry, 0) + 1
        self._out.record(AddUpdate(DocumentId(entry), update))
        self._unwritten.setdefault(entry, []).append(update)
        self._log_lengths[entry] = length

    def _is_new(self, entry: EntryId) -> bool:
        """Whether nothing was ever known of its text."""
        return DocumentId(entry) not in self.heads and entry not in self._changed and entry not in self._warm

    def _begin(self, entry: EntryId, first: FirstText, update: bytes) -> None:
        self._first[entry] = first
        self._logged(entry, update)

    def _holding(self, entry: EntryId) -> FirstText | TextDocument:
        """What tells the text and the state vector of an entry."""
        return self._first.get(entry) or self._document(entry)

    def _document(self, entry: EntryId) -> TextDocument:
        document = self._warm.get(entry)
        if document is not None:
            self._warm.move_to_end(entry)
            return document
        return self._load(entry, self._log(entry))

    def _log(self, entry: EntryId) -> list[bytes]:
        known = DocumentId(entry) in self.heads  # or nothing of it was ever written
        updates = list(self.recall.updates(DocumentId(entry))) if known else []
        return [*updates, *self._unwritten.get(entry, ())]

    def _load(self, entry: EntryId, updates: list[bytes]) -> TextDocument:
        self._first.pop(entry, None)
        self._log_lengths[entry] = len(updates)
        self._unwritten_texts.take(entry)
        document = self._warm[entry] = TextDocument(client_id_in(entry, self._client_id), updates)
        return document

    def _cool(self) -> None:
        """Compact long logs, and let go of the documents that were not used for the longest time.

        As long as the disk holds another text of it, only the log may tell what a save there was made from,
        and may get twice as long.
        """
        most = limits.COMPACT_AFTER_UPDATES
        for entry, length in [each for each in self._log_lengths.items() if each[1] >= most]:
            if entry in self.unplaced or (length < 2 * most and self._stands_otherwise(entry)):
                continue
            self._out.record(ReplaceUpdates(DocumentId(entry), self._document(entry).encode_log()))
            self._log_lengths[entry] = 1
        size_bytes = sum(len(document.text) for document in self._warm.values())
        while len(self._warm) > 1 and (
            len(self._warm) > limits.DOCUMENTS_WARM_MAX or size_bytes > limits.DOCUMENTS_WARM_MAX_BYTES
        ):
            entry, document = self._warm.popitem(last=False)
            self._log_lengths.pop(entry, None)
            size_bytes -= len(document.text)
            self._keep_unwritten(entry, document.text)

    def _stands_otherwise(self, entry: EntryId) -> bool:
        agreed = self._synced.get(entry)
        return agreed is not None and agreed.digest != self.text_digest(entry)

    def _keep_unwritten(self, entry: EntryId, text: str) -> None:
        """Of a cold document: the text, if the disk does not have it."""
        agreed, head = self._synced.get(entry), self.heads.get(DocumentId(entry))
        if head is not None and (agreed is None or agreed.digest != head.digest):
            self._unwritten_texts.keep(entry, text)
