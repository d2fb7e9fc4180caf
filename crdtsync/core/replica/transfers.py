"""Blobs on their way up or down, and files that were displaced: what their outcomes mean for the plan."""

from __future__ import annotations

from typing import assert_never

from crdtsync.core.replica.effects import DropDisplaced
from crdtsync.core.replica.events import Fetched, FetchFailed, Uploaded, UploadFailed
from crdtsync.core.replica.ingest import Ingest
from crdtsync.core.replica.materialise import Materialise
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.steps import Displaced
from crdtsync.core.values.files import Kind, TextContent
from crdtsync.core.values.paths import conflict_path

RETRY_S = 5.0


class Transfers:
    def __init__(self, state: ReplicaState) -> None:
        self._state = state

    def take(self, event: Uploaded | UploadFailed | Fetched | FetchFailed, now: float) -> None:
        state = self._state
        match event:
            case Uploaded(digest, index):
                state.uploaded[digest] = None if index == digest else index
                for path in state.uploading.pop(digest, ()):
                    state.attention.pop(path, None)
                    state.replan_path(path)
            case UploadFailed(digest, reason, changed):
                for path in state.uploading.pop(digest, ()):
                    if not changed:
                        state.tell(path, "upload", reason)
                    state.looking.want(path)
            case Fetched(digest):
                state.fetched.add(digest)
                state.replan(state.fetching.pop(digest, ()))
            case FetchFailed(digest, reason, _):
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

    def take_displaced(
        self, displaced: Displaced, ingest: Ingest, materialise: Materialise, now: float
    ) -> None:
        """A save that landed while its file was replaced is an edit of the version that it replaced."""
        state = self._state
        entry, content = displaced.entry, displaced.seen.content
        row = state.tree.rows.get(entry)
        base = None
        if row is not None and row.kind is Kind.TEXT and isinstance(content, TextContent):
            base = state.documents.version(entry, displaced.replaced)
        if content.digest == displaced.replaced or content.digest == state.room_digest(entry):
            state.out.effect(DropDisplaced(displaced.token))
        elif base is not None and isinstance(content, TextContent):
            ingest.merge_text(entry, base, content.text, now)
            state.out.effect(DropDisplaced(displaced.token))
        else:
            path = conflict_path(displaced.path, state.name, content.digest)
            materialise.keep_copy(displaced.token, path)
