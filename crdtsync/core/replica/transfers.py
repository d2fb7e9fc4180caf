"""Blobs on their way up or down, and files that were displaced: what their outcomes mean for the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from crdtsync.core.replica.events import Fetched, FetchFailed, Uploaded, UploadFailed
from crdtsync.core.replica.ingest import Ingest
from crdtsync.core.replica.materialise import Materialise
from crdtsync.core.replica.passed import was_text
from crdtsync.core.replica.records import PutMeta
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.steps import Displaced
from crdtsync.core.text.torn import looks_torn, mended
from crdtsync.core.values import limits
from crdtsync.core.values.digests import Digest
from crdtsync.core.values.files import Kind, TextContent
from crdtsync.core.values.paths import conflict_path

RETRY_S = 5.0
DISPLACED_KEY = "displaced:"
DISPLACED_REMEMBERED_S = 2 * limits.DISPLACED_MAX_S


class Transfers:
    def __init__(self, state: ReplicaState, meta: Mapping[str, str]) -> None:
        self._state = state
        self._offered: set[Digest] = set()
        """Blobs that others asked for in this session."""
        self._taken_in: dict[str, tuple[Digest, float]] = {}
        """Of displaced files, by the first part of their tokens: the content taken in last, and when."""
        for key, value in meta.items():
            if key.startswith(DISPLACED_KEY):
                digest, _, at_s = value.partition(" ")
                self._taken_in[key.removeprefix(DISPLACED_KEY)] = (Digest(digest), float(at_s))

    def take(self, event: Uploaded | UploadFailed | Fetched | FetchFailed, now: float) -> None:
        """What became of a blob's way up or down."""
        state = self._state
        match event:
            case Uploaded(digest, index):
                state.uploaded[digest] = None if index == digest else index
                state.asked.discard(digest)
                if digest in state.missing:
                    state.retry_at_once(now)  # what waits here for a blob of our own, which the hub had lost
                for path in state.uploading.pop(digest, ()):
                    state.attention.pop(path, None)
                    state.replan_path(path)
            case UploadFailed(digest, reason, changed):
                for path in state.uploading.pop(digest, ()):
                    if changed:
                        state.looking.want(path)
                    else:
                        state.tell(path, "upload", reason)
                        state.rechecks[path] = now + RETRY_S
            case Fetched(digest):
                state.missing.discard(digest)
                state.fetched.add(digest)
                state.replan(state.fetching.pop(digest, ()))
            case FetchFailed(digest, reason, missing):
                if missing:
                    state.missing.add(digest)
                for entry in state.fetching.pop(digest, ()):
                    placed = state.view.get(entry)
                    if placed is not None:
                        state.tell(placed.path, "download", reason)
                        state.retry_later(entry, placed.path, now, RETRY_S)
            case _:
                assert_never(event)

    def reseed(self) -> None:
        """The hub may have lost its chunks: read every blob that stands here, and offer it again."""
        state = self._state
        for agreed in state.synced:
            if agreed.kind is Kind.BLOB and agreed.digest == state.room_digest(agreed.entry):
                state.reseeding.add(agreed.path)
                state.looking.want(agreed.path)

    def offer(self, digests: Iterable[Digest]) -> None:
        """Someone waits for these, which the hub lacks: read them if they stand here, once a session."""
        state = self._state
        for digest in digests:
            agreed = state.synced.with_digest(digest)
            if agreed is not None and agreed.kind is Kind.BLOB and digest not in self._offered:
                self._offered.add(digest)
                state.asked.add(digest)
                state.reseeding.add(agreed.path)
                state.looking.want(agreed.path)

    def disconnected(self) -> None:
        """What was offered may be lost with the hub."""
        self._offered.clear()
        self._state.asked.clear()

    def _remember(self, file: str, digest: Digest, now: float) -> None:
        """In the transaction that takes the content in, so that a kill before the drop takes it in once."""
        for old in [old for old, (_, at_s) in self._taken_in.items() if now - at_s > DISPLACED_REMEMBERED_S]:
            del self._taken_in[old]
            self._state.out.record(PutMeta(DISPLACED_KEY + old, ""))
        self._taken_in[file] = (digest, now)
        self._state.out.record(PutMeta(DISPLACED_KEY + file, f"{digest} {now}"))

    def take_all_displaced(self, ingest: Ingest, materialise: Materialise, now: float) -> None:
        for token in list(self._state.displaced):
            self.take_displaced(self._state.displaced.pop(token), ingest, materialise, now)

    def take_displaced(
        self, displaced: Displaced, ingest: Ingest, materialise: Materialise, now: float
    ) -> None:
        """A save that landed while its file was replaced is an edit of the version that it replaced."""
        state = self._state
        entry, content = displaced.entry, displaced.seen.content
        row = state.tree.rows.get(entry)
        # What was taken in of this very file before, even if we were killed before it was dropped.
        file = displaced.token.partition(".")[0]
        replaced = self._taken_in.get(file, (displaced.replaced, 0.0))[0]
        base = None
        if row is not None and row.kind is Kind.TEXT and isinstance(content, TextContent):
            base = state.documents.version(entry, replaced)
        undone = displaced.token in state.displaced_torn and base is not None
        if (
            content.digest in (replaced, state.room_digest(entry))
            # a power cut took back what had been saved in it last
            or (undone and was_text(state.documents.log(entry), content.digest))
        ):
            if base is not None and isinstance(content, TextContent):
                state.documents.keep_version(entry, content.text, now)
                self._remember(file, content.digest, now)
            state.displaced_read.append(displaced.token)
        elif (
            base is not None
            and isinstance(content, TextContent)
            and not state.session.read_only
            and ingest.merge_text(entry, base, self._whole(displaced, base, content.text), now)
        ):
            self._remember(file, content.digest, now)
            state.displaced_read.append(displaced.token)
        else:
            path = conflict_path(displaced.path, state.name, content.digest)
            materialise.keep_copy(displaced.token, path)

    def _whole(self, displaced: Displaced, base: str, left: str) -> str:
        torn = displaced.token in self._state.displaced_torn and looks_torn(base, left)
        return mended(base, left) if torn else left
