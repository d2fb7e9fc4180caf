"""Clients whose document shares no history with the text at their path, and whether the two may be merged.

Two people who typed into one empty file while both were offline are such; so is a page that fills its
document with a template before it is synced, which would then be there twice. What a client has tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crdtsync.core.hub.doors.text import OpenText
from crdtsync.core.text import statevector
from crdtsync.core.text.document import TextDocument
from crdtsync.core.wire.awareness import ClientState

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


def would_double(proof: Proof, text: OpenText) -> bool:
    """Whether something would stand in the text twice if it were merged. Raises MalformedUpdate."""
    theirs = TextDocument(_NOBODY, [proof.update]).text
    ours = text.document.text
    if theirs.strip() in ours or ours.strip() in theirs:
        return bool(theirs.strip())
    return bool(_lines(theirs) & _lines(ours))


def _lines(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines()} - {""}
