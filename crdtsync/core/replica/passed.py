"""Finds out which former text of the room a disk holds, though the replica remembers another agreement.

A power cut takes back what was remembered last, a backup of the state is old, and the hub tells the log
anew: then the disk is ahead of the agreement. Pure reading of logs; what follows is left to others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from crdtsync.core.replica.records import Synced
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.rebase import includes
from crdtsync.core.text.statevector import covers
from crdtsync.core.text.torn import looks_torn
from crdtsync.core.text.words import words
from crdtsync.core.values.digests import Digest, digest_of_text
from crdtsync.core.values.late import dataclass
from crdtsync.errors import MalformedUpdate

_READ_MAX_CHARS: Final = 8 << 20
"""Of all texts looked at; costs 0.05 s."""
_COMPARED_MAX_CHARS: Final = 1 << 20
"""Of those that are compared word by word, the latest ones; costs 0.2 s."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What the text was once, and the state vector that it had."""

    text: str
    state_vector: bytes


def moment_of(log: Iterable[bytes], agreed: Synced, saved: str, *, torn: bool) -> Moment | None:
    """The last moment since the agreement whose text was saved, or was changed and then saved.

    ``log`` are all updates of the text in the order in which they came. ``torn``: a power cut may have left
    only the beginning. None if there was no such moment, or nobody can tell: a log may be one update by now.
    """
    since: list[Moment] = []
    for moment in _moments(log):
        if digest_of_text(moment.text) == agreed.digest:
            since = [moment]  # what was before that had been seen, and may have been gone back to
        elif since:
            since.append(moment)
    if not since or not covers(since[0].state_vector, agreed.state_vector):
        return None
    base, *since = since
    since.reverse()
    for moment in since:
        if moment.text == saved:
            return moment
        if torn and saved and moment.text.startswith(saved) and looks_torn(moment.text, saved):
            return moment
    known, there = set(words(base.text)), set(words(saved))
    compared_chars = 0
    for moment in since:
        compared_chars += len(moment.text)
        if compared_chars > _COMPARED_MAX_CHARS:
            break
        new = set(words(moment.text)) - known
        if new and new <= there and includes(base.text, moment.text, saved):
            return moment
    return None


def was_text(log: Iterable[bytes], digest: Digest) -> bool:
    """Whether that is what the text was once, as far as the log tells."""
    return any(digest_of_text(moment.text) == digest for moment in _moments(log))


def vector_of(log: Iterable[bytes], digest: Digest) -> bytes:
    """What of the document the text covered when it was that last; nothing, if the log does not tell."""
    found = b"\0"
    for moment in _moments(log):
        if digest_of_text(moment.text) == digest:
            found = moment.state_vector
    return found


def _moments(log: Iterable[bytes]) -> Iterator[Moment]:
    document = TextDocument(0)
    read_chars = 0
    for update in log:
        try:
            document.apply_update(update)
        except MalformedUpdate:
            continue  # as it is left out of the document
        read_chars += len(document.text)
        if read_chars > _READ_MAX_CHARS:
            return
        yield Moment(document.text, document.state_vector)
