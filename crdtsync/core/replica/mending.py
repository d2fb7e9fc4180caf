"""Files whose saves a power cut may have cut off: what a text lacks at its end was deleted by nobody, nor was
a blob emptied.

Knows whose files were not read since the machine started; what looks torn is known to ``text.torn``.
"""

from __future__ import annotations

from crdtsync.core.replica.ingest import Ingest
from crdtsync.core.replica.materialise import Materialise
from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.replica.trees import OnDisk
from crdtsync.core.tree.view import Placement
from crdtsync.core.values.digests import EMPTY_DIGEST, encode_text
from crdtsync.core.values.files import BlobContent, Content, Kind

TORN = "torn by a power cut"


class Mending:
    def __init__(self, state: ReplicaState, ingest: Ingest, materialise: Materialise) -> None:
        self._state = state
        self._ingest = ingest
        self._materialise = materialise

    def restores(
        self, agreed: Synced, placed: Placement | None, seen: OnDisk, content: Content | None, now: float
    ) -> bool:
        """Whether a power cut made the file of a text one that is none, or emptied that of a blob: then what
        the room has is written anew."""
        state = self._state
        if agreed.entry not in state.rebooted or placed is None:
            return False
        if agreed.kind is Kind.BLOB and seen.digest == EMPTY_DIGEST:
            self._materialise.write(placed, agreed, seen, now, trash=TORN)
            return True
        if agreed.kind is not Kind.TEXT or seen.kind is not Kind.BLOB:
            return False
        if not isinstance(content, BlobContent) or content.digest != seen.digest:
            state.looking.want(agreed.path)
            return True
        stood = None if agreed.digest is None else state.documents.version(agreed.entry, agreed.digest)
        if content.beginning is None or stood is None:
            return False
        if content.rest_bytes and content.manifest.size_bytes != len(encode_text(stood)):
            return False  # what was not cut off has the old length
        self._ingest.merge_torn(agreed, content.beginning, now)
        self._materialise.write(placed, agreed, seen, now, trash=TORN)
        return True
