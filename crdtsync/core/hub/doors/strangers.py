"""Clients whose document shares no history with what stands at their path, and whether they may open it.

Two people who typed into one empty file while both were offline are such; so is a page that fills its
document with a template before it is synced, which would then be there twice. What a client has tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from crdtsync.core.hub import bounds
from crdtsync.core.hub.doors.channel import Channel
from crdtsync.core.hub.doors.choosing import OtherHistory, choose
from crdtsync.core.hub.doors.codes import NOT_FOUND, OTHER_HISTORY
from crdtsync.core.hub.doors.places import Places
from crdtsync.core.hub.doors.text import OpenText
from crdtsync.core.text import statevector
from crdtsync.core.text.document import TextDocument
from crdtsync.core.text.update import check_update
from crdtsync.core.values.ids import EntryId, is_client_id_of_ours
from crdtsync.core.wire.awareness import ClientState
from crdtsync.errors import MalformedUpdate

_NOBODY: Final = 1
"""The client of a document that is only read."""


@dataclass(frozen=True, slots=True)
class Proof:
    """All that a client has, and when it said so."""

    update: bytes
    at_ms: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """A client that is about to open a text: what it has, and who it said is there where it comes from."""

    state_vector: bytes
    people: tuple[ClientState, ...] = ()
    proof: Proof | None = None

    @property
    def brings(self) -> bool:
        """Whether it has something. Raises ValueError."""
        return any(statevector.decode(self.state_vector).values())


@dataclass(frozen=True, slots=True)
class Refused:
    """``code``: of the close frame."""

    code: int
    reason: str


class Step(Enum):
    """What comes before it can be decided."""

    SHOW = "show"
    """The client is to show all that it has."""
    WAIT = "wait"
    """The folders that have its text are to bring it back."""


def decide(
    places: Places, path: str, arrival: Arrival, read_only: bool, folders_return: bool
) -> EntryId | OtherHistory | Step | Refused | None:
    """As ``choose``; and where no text can be, only who has typed something may make one beside.

    ``folders_return``: what the hub lost may still come back with them, so it is not to be made anew.
    """
    chosen = choose(places, path, arrival.state_vector)
    authors = statevector.decode(arrival.state_vector)
    if folders_return and not isinstance(chosen, str) and any(map(is_client_id_of_ours, authors)):
        return Step.WAIT
    if isinstance(chosen, OtherHistory):
        if read_only or not is_new(arrival.state_vector):
            return Refused(OTHER_HISTORY, chosen.reason)
        return Step.SHOW if arrival.proof is None else chosen
    problem = places.problem(path)
    if problem is None:
        return chosen
    if not arrival.brings:
        return Refused(NOT_FOUND, problem)
    if chosen is not None:
        return chosen
    if arrival.proof is None:
        return Refused(NOT_FOUND, problem) if read_only else Step.SHOW
    return None if _shown(arrival.proof) else Refused(NOT_FOUND, problem)


def is_new(state_vector: bytes) -> bool:
    """Whether one client alone has typed into the document. Raises ValueError for a malformed one."""
    return len([clock for clock in statevector.decode(state_vector).values() if clock]) == 1


def heard_late(channel: Channel, text: OpenText, update: bytes) -> bytes | None:
    """The state vector of what a client shows of a file that is not there, if it may be of one that was.

    It has the document open for the second time on its connection, where what the hub told the first one
    came to it: nothing says for which of the two that was.
    """
    may_be = channel.is_shared and not channel.returns and text.entry is None
    if not may_be or len(update) > bounds.CHECK_INLINE_MAX_BYTES:
        return None
    try:
        inserted = check_update(update).structs
    except MalformedUpdate:
        return None
    return statevector.encode({client: end for client, (_, end) in inserted.items()}) if inserted else None


def objection(other: OtherHistory | None, proof: Proof | None, text: OpenText) -> Refused | None:
    """Why a client's document of another history must not be merged."""
    if other is None or proof is None:
        return None
    return Refused(OTHER_HISTORY, other.reason) if would_double(proof, text) else None


def would_double(proof: Proof, text: OpenText) -> bool:
    """Whether something would stand in the text twice if it were merged; what cannot be read does not."""
    theirs = _shown(proof)
    ours = text.document.text
    if theirs.strip() in ours or ours.strip() in theirs:
        return bool(theirs.strip())
    return bool(_lines(theirs) & _lines(ours))


def _shown(proof: Proof) -> str:
    """The text that the client shows; none if it cannot be read."""
    return TextDocument(_NOBODY, [proof.update]).text


def _lines(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines()} - {""}
