"""Which text a client goes on with, given the path that it names and the document that it has kept.

A client may have kept its document while the file was deleted, made anew or renamed. Two histories in one
document would double the text, so a client goes on with the file whose history it has. See
docs/decisions/0015-documents-that-clients-kept.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from crdtsync.core.hub.doors.places import Places, shares_history
from crdtsync.core.text import statevector
from crdtsync.core.values.ids import EntryId, printable
from crdtsync.errors import PeerError


@dataclass(frozen=True, slots=True)
class OtherHistory:
    """The client's document is none that was ever at the path, and neither of the two is empty."""

    standing: EntryId
    reason: str


def choose(places: Places, path: str, client: bytes) -> EntryId | OtherHistory | None:
    """The text for a client whose document has the state vector ``client``; None: a file to be made.

    All texts that ``places.stood`` tells of must be known. Raises ValueError for a malformed state vector.
    """
    standing = places.text_at(path)
    if not any(statevector.decode(client).values()):
        return standing
    for entry in places.stood(path, client):
        if shares_history(client, places.state_vector(entry)):
            return entry
    if standing is None or not any(statevector.decode(places.state_vector(standing)).values()):
        return standing
    return OtherHistory(
        standing,
        f"This copy of {printable(path)!r} was not made from the file that is there: to merge the two would "
        "double the text. Keep what you need of it, and load the document anew.",
    )


def check_state_vector(state_vector: bytes) -> None:
    """Raises PeerError for a malformed one."""
    try:
        statevector.decode(state_vector)
    except ValueError as error:
        raise PeerError(str(error)) from None
