"""When what is replaced on disk goes to the trash: always, but for texts that others only add to."""

from __future__ import annotations

from crdtsync.core.replica.records import Synced
from crdtsync.core.replica.state import ReplicaState
from crdtsync.core.text.diff import only_adds
from crdtsync.core.values.files import Content, TextContent
from crdtsync.core.values.ids import EntryId

TRASH_TEXT_PERIOD_S = 600.0
"""A text that others shorten goes to the trash at most this often: once per sitting, not per keystroke."""


def reason_for_trash(
    state: ReplicaState, entry: EntryId, agreed: Synced | None, content: Content, now: float
) -> str | None:
    """Why the file that ``content`` replaces goes to the trash; None if it does not."""
    if not isinstance(content, TextContent) or agreed is None or agreed.digest is None:
        return "replaced by others"
    old = state.documents.version(entry, agreed.digest)
    if old is not None and only_adds(old, content.text):
        return None
    if now - state.trashed_at.get(entry, float("-inf")) < TRASH_TEXT_PERIOD_S:
        return None
    state.trashed_at[entry] = now
    return "shortened by others"
