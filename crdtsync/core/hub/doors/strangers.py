"""Clients whose document shares no history with the text at their path, and whether the two may be merged.

Two people who typed into one empty file while both were offline are such; so is a page that fills its
document with a template before it is synced, which would then be there twice. What a client has tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crdtsync.core.hub.doors.choosing import OtherHistory
from crdtsync.core.hub.doors.codes import MALFORMED, OTHER_HISTORY
from crdtsync.core.hub.doors.text import OpenText, malformed
from crdtsync.core.text import statevector
from crdtsync.core.text.document import TextDocument
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


def is_new(state_vector: bytes) -> bool:
    """Whether one client alone has typed into the document. Raises ValueError for a malformed one."""
    return len([clock for clock in statevector.decode(state_vector).values() if clock]) == 1


def objection(
    other: OtherHistory | None, proof: Proof | None, text: OpenText, path: str
) -> tuple[int, str] | None:
    """The close code and the reason when a client's document of another history must not be merged."""
    if other is None or proof is None:
        return None
    try:
        return (OTHER_HISTORY, other.reason) if would_double(proof, text) else None
    except MalformedUpdate as error:
        return MALFORMED, malformed(path, str(error))


def would_double(proof: Proof, text: OpenText) -> bool:
    """Whether something would stand in the text twice if it were merged. Raises MalformedUpdate."""
    theirs = TextDocument(_NOBODY, [proof.update]).text
    ours = text.document.text
    if theirs.strip() in ours or ours.strip() in theirs:
        return bool(theirs.strip())
    return bool(_lines(theirs) & _lines(ours))


def _lines(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines()} - {""}
